import io.airlift.compress.lz4.Lz4Codec;
import io.airlift.compress.lzo.LzoCodec;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.io.compress.CompressionCodec;
import org.apache.parquet.column.ParquetProperties.WriterVersion;
import org.apache.parquet.crypto.ColumnDecryptionProperties;
import org.apache.parquet.crypto.ColumnEncryptionProperties;
import org.apache.parquet.crypto.FileDecryptionProperties;
import org.apache.parquet.crypto.FileEncryptionProperties;
import org.apache.parquet.crypto.ParquetCipher;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.NanoTime;
import org.apache.parquet.example.data.simple.SimpleGroup;
import org.apache.parquet.hadoop.CodecFactory;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.ParquetReader;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.api.ReadSupport;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.example.GroupReadSupport;
import org.apache.parquet.hadoop.metadata.ColumnPath;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.InputFile;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;
import shaded.parquet.com.fasterxml.jackson.databind.JsonNode;
import shaded.parquet.com.fasterxml.jackson.databind.ObjectMapper;
import shaded.parquet.com.fasterxml.jackson.databind.node.ArrayNode;
import shaded.parquet.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Lets parquet-java read and write for tests/interop: one request a line, one answer a line, both JSON.
 *
 * <p>{"read": PATH, "columns": [NAME…]} → {"rows": [GROUP…]};
 * {"write": PATH, "schema": MESSAGE TYPE, "rows": [GROUP…], …options} → {};
 * {"copy": PATH, "write": PATH, …options} → {}; each → {"error": TEXT}.
 *
 * <p>With "keys": {"footer": HEX, "columns": {PATH: HEX…}, "aad_prefix": HEX} what is read or written is encrypted; when writing,
 * "cipher" names the algorithm, and "plain_footer" is true where the footer is not. With "airlift" the codecs LZO and LZ4 are Airlift's.
 *
 * <p>A GROUP has a member for each field that is there: of a repeated one the array of its values. Values are as Parquet
 * stores them: integers as numbers, FLOAT and DOUBLE as the number that their bits are, bytes (and INT96's twelve) as hex.
 */
public final class Bridge {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HexFormat HEX = HexFormat.of();

  public static void main(String[] arguments) throws Exception {
    // Whatever a library prints must not stand among the answers.
    PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    System.setOut(System.err);
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      ObjectNode answer;
      try {
        JsonNode request = JSON.readTree(line);
        answer = request.has("read") ? read(request) : request.has("copy") ? copy(request) : write(request);
      } catch (Throwable problem) {
        answer = JSON.createObjectNode().put("error", text(problem));
      }
      answers.println(JSON.writeValueAsString(answer));
      answers.flush();
    }
  }

  private static String text(Throwable problem) {
    StringBuilder all = new StringBuilder();
    for (Throwable one = problem; one != null; one = one.getCause()) {
      all.append(all.length() == 0 ? "" : ": ").append(one.getClass().getSimpleName()).append(' ').append(one.getMessage());
    }
    return all.toString();
  }

  // ---- reading ------------------------------------------------------------------------------------------------------

  private static final class Reader extends ParquetReader.Builder<Group> {
    Reader(InputFile file) {
      super(file);
    }

    @Override
    protected ReadSupport<Group> getReadSupport() {
      return new GroupReadSupport();
    }
  }

  private static ObjectNode read(JsonNode request) throws Exception {
    InputFile file = new LocalInputFile(Paths.get(request.get("read").asText()));
    Configuration configuration = new Configuration(false);
    if (request.has("columns")) {
      configuration.set(ReadSupport.PARQUET_READ_SCHEMA, projection(file, request.get("columns")).toString());
    }
    ObjectNode answer = JSON.createObjectNode();
    ArrayNode rows = answer.putArray("rows");
    var building = new Reader(file).withConf(configuration).usePageChecksumVerification(true);
    if (request.has("keys")) {
      building.withDecryption(opening(request.get("keys")));
    }
    try (ParquetReader<Group> reader = building.build()) {
      for (Group row = reader.read(); row != null; row = reader.read()) {
        rows.add(group(row));
      }
    }
    return answer;
  }

  private static MessageType projection(InputFile file, JsonNode columns) throws Exception {
    try (var open = ParquetFileReader.open(file)) {
      MessageType all = open.getFooter().getFileMetaData().getSchema();
      Type[] wanted = new Type[columns.size()];
      for (int i = 0; i < wanted.length; i++) {
        wanted[i] = all.getType(columns.get(i).asText());
      }
      return new MessageType(all.getName(), wanted);
    }
  }

  private static FileDecryptionProperties opening(JsonNode keys) {
    var opening = FileDecryptionProperties.builder().withFooterKey(key(keys, "footer"));
    Map<ColumnPath, ColumnDecryptionProperties> columns = new HashMap<>();
    keys.path("columns").fields().forEachRemaining(column -> columns.put(
        ColumnPath.fromDotString(column.getKey()),
        ColumnDecryptionProperties.builder(column.getKey()).withKey(HEX.parseHex(column.getValue().asText())).build()));
    if (!columns.isEmpty()) {
      opening.withColumnKeys(columns);
    }
    if (keys.has("aad_prefix")) {
      opening.withAADPrefix(key(keys, "aad_prefix"));
    }
    return opening.build();
  }

  private static byte[] key(JsonNode keys, String name) {
    return HEX.parseHex(keys.get(name).asText());
  }

  private static ObjectNode group(Group group) {
    ObjectNode members = JSON.createObjectNode();
    GroupType type = group.getType();
    for (int field = 0; field < type.getFieldCount(); field++) {
      int count = group.getFieldRepetitionCount(field);
      if (type.getType(field).isRepetition(Type.Repetition.REPEATED)) {
        ArrayNode values = members.putArray(type.getFieldName(field));
        for (int i = 0; i < count; i++) {
          values.add(value(group, field, i));
        }
      } else if (count > 0) {
        members.set(type.getFieldName(field), value(group, field, 0));
      }
    }
    return members;
  }

  private static JsonNode value(Group group, int field, int i) {
    Type type = group.getType().getType(field);
    if (!type.isPrimitive()) {
      return group(group.getGroup(field, i));
    }
    var nodes = JSON.getNodeFactory();
    return switch (type.asPrimitiveType().getPrimitiveTypeName()) {
      case BOOLEAN -> nodes.booleanNode(group.getBoolean(field, i));
      case INT32 -> nodes.numberNode(group.getInteger(field, i));
      case INT64 -> nodes.numberNode(group.getLong(field, i));
      case FLOAT -> nodes.numberNode(Float.floatToRawIntBits(group.getFloat(field, i)));
      case DOUBLE -> nodes.numberNode(Double.doubleToRawLongBits(group.getDouble(field, i)));
      case INT96 -> nodes.textNode(HEX.formatHex(group.getInt96(field, i).getBytes()));
      case BINARY, FIXED_LEN_BYTE_ARRAY -> nodes.textNode(HEX.formatHex(group.getBinary(field, i).getBytes()));
    };
  }

  // ---- writing ------------------------------------------------------------------------------------------------------

  private static ObjectNode write(JsonNode request) throws Exception {
    MessageType schema = MessageTypeParser.parseMessageType(request.get("schema").asText());
    try (ParquetWriter<Group> out = writer(request, schema)) {
      for (JsonNode row : request.get("rows")) {
        Group group = new SimpleGroup(schema);
        fill(group, row);
        out.write(group);
      }
    }
    return JSON.createObjectNode();
  }

  private static ObjectNode copy(JsonNode request) throws Exception {
    InputFile file = new LocalInputFile(Paths.get(request.get("copy").asText()));
    MessageType schema;
    try (var open = ParquetFileReader.open(file)) {
      schema = open.getFooter().getFileMetaData().getSchema();
    }
    try (ParquetReader<Group> reader = new Reader(file).withConf(new Configuration(false)).build();
        ParquetWriter<Group> out = writer(request, schema)) {
      for (Group row = reader.read(); row != null; row = reader.read()) {
        out.write(row);
      }
    }
    return JSON.createObjectNode();
  }

  private static ParquetWriter<Group> writer(JsonNode request, MessageType schema) throws Exception {
    var path = Paths.get(request.get("write").asText());
    Files.deleteIfExists(path);
    var writer = ExampleParquetWriter.builder(new LocalOutputFile(path))
        .withType(schema)
        .withConf(new Configuration(false))
        .withWriterVersion(request.path("version").asInt(1) == 2 ? WriterVersion.PARQUET_2_0 : WriterVersion.PARQUET_1_0)
        .withCompressionCodec(CompressionCodecName.valueOf(request.path("codec").asText("UNCOMPRESSED")))
        .withDictionaryEncoding(request.path("dictionary").asBoolean(true))
        .withByteStreamSplitEncoding(request.path("split").asBoolean(false))
        .withPageRowCountLimit(request.path("page_rows").asInt(20_000))
        .withRowGroupRowCountLimit(request.path("row_group_rows").asInt(1 << 20))
        .withPageWriteChecksumEnabled(true);
    if (request.path("airlift").asBoolean()) {
      writer.withCodecFactory(new Airlift());
    }
    for (JsonNode column : request.path("bloom")) {
      writer.withBloomFilterEnabled(column.asText(), true).withBloomFilterNDV(column.asText(), 50);
    }
    if (request.has("keys")) {
      writer.withEncryption(sealing(request));
    }
    return writer.build();
  }

  /** LZO and LZ4 in the framing of Hadoop, whose own codecs are native code that Maven's central repository does not have. */
  private static final class Airlift extends CodecFactory {
    Airlift() {
      super(new Configuration(false), ParquetWriter.DEFAULT_PAGE_SIZE);
    }

    @Override
    protected CompressionCodec getCodec(CompressionCodecName name) {
      return switch (name) {
        case LZO -> new LzoCodec();
        case LZ4 -> new Lz4Codec();
        default -> super.getCodec(name);
      };
    }
  }

  private static FileEncryptionProperties sealing(JsonNode request) {
    JsonNode keys = request.get("keys");
    var sealing = FileEncryptionProperties.builder(key(keys, "footer"))
        .withAlgorithm(ParquetCipher.valueOf(request.get("cipher").asText()));
    if (request.path("plain_footer").asBoolean()) {
      sealing.withPlaintextFooter();
    }
    if (keys.has("aad_prefix")) {
      sealing.withAADPrefix(key(keys, "aad_prefix"));
    }
    Map<ColumnPath, ColumnEncryptionProperties> columns = new HashMap<>();
    keys.path("columns").fields().forEachRemaining(column -> columns.put(
        ColumnPath.fromDotString(column.getKey()),
        ColumnEncryptionProperties.builder(column.getKey()).withKey(HEX.parseHex(column.getValue().asText())).build()));
    if (!columns.isEmpty()) {
      sealing.withEncryptedColumns(columns);
    }
    return sealing.build();
  }

  private static void fill(Group group, JsonNode members) {
    for (Type field : group.getType().getFields()) {
      JsonNode member = members.get(field.getName());
      if (member == null || member.isNull()) {
        continue;
      }
      if (field.isRepetition(Type.Repetition.REPEATED)) {
        member.forEach(one -> add(group, field, one));
      } else {
        add(group, field, member);
      }
    }
  }

  private static void add(Group group, Type field, JsonNode value) {
    String name = field.getName();
    if (!field.isPrimitive()) {
      fill(group.addGroup(name), value);
      return;
    }
    PrimitiveType type = field.asPrimitiveType();
    switch (type.getPrimitiveTypeName()) {
      case BOOLEAN -> group.add(name, value.asBoolean());
      case INT32 -> group.add(name, value.asInt());
      case INT64 -> group.add(name, value.asLong());
      case FLOAT -> group.add(name, Float.intBitsToFloat(value.asInt()));
      case DOUBLE -> group.add(name, Double.longBitsToDouble(value.asLong()));
      case INT96 -> group.add(name, NanoTime.fromBinary(bytes(value)));
      case BINARY, FIXED_LEN_BYTE_ARRAY -> group.add(name, bytes(value));
    }
  }

  private static Binary bytes(JsonNode hex) {
    return Binary.fromConstantByteArray(HEX.parseHex(hex.asText()));
  }
}
