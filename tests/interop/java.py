"""parquet-java, behind the lines of JSON that java/Bridge.java speaks."""
import json
import os
import subprocess

import pyarrow as pa

HERE = os.path.dirname(os.path.abspath(__file__))
BUILT = os.path.join(HERE, ".java")


class Bridge:
    """One process of Java, for as long as the object lives."""

    def __init__(self):
        command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", f"{BUILT}/lib/*:{BUILT}", "Bridge"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"parquet-java ended with {self.process.wait()}")
        answer = json.loads(answer)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def from_java(value, kind):
    """A value of the bridge as `columns.raw` gives it."""
    if value is None:
        return None
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_map(kind):
        return [(from_java(e["key"], kind.key_type), from_java(e.get("value"), kind.item_type)) for e in value["key_value"]]
    if pa.types.is_nested(kind) and not pa.types.is_struct(kind):
        return [from_java(e.get("element"), kind.value_type) for e in value["list"]]
    if pa.types.is_struct(kind):
        return {field.name: from_java(value.get(field.name), field.type) for field in kind}
    if isinstance(value, str):
        stored = bytes.fromhex(value)
        if pa.types.is_decimal(kind):
            return int.from_bytes(stored, "big", signed=True)
        return int.from_bytes(stored, "little", signed=True) if kind == pa.float16() else stored
    if pa.types.is_unsigned_integer(kind):
        return value & (1 << kind.bit_width) - 1
    # Parquet has no seconds: milliseconds stand for them, and days for date64.
    if str(kind).startswith(("timestamp[s", "time32[s")):
        return value // 1000
    return value * 86_400_000 if kind == pa.date64() else value
