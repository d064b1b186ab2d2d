//! Logical types that Arrow has as extensions: names and metadata of a field.
//!
//! Spec: LogicalTypes.md; Geospatial.md, "CRS Customization"; Arrow, "Canonical Extension Types"; GeoArrow,
//! "Extension Types".
//!
//! ```text
//! UUID                     arrow.uuid
//! JSON                     arrow.json              ""
//! VARIANT                  arrow.parquet.variant   ""
//! FILE                     arrow.parquet.file      ""
//! GEOMETRY(crs)            geoarrow.wkb            {"crs": …, "crs_type": …}
//! GEOGRAPHY(crs, edges)    geoarrow.wkb            {"edges": "spherical", "crs": …, "crs_type": …}
//! ENUM, BSON               no extension: the key PARQUET:logical_type says so
//! TIME adjusted to UTC     no extension: the key adjusted_to_utc says so, which the parquet crate knows too
//! ```
//!
//! No CRS in Parquet is longitude and latitude, `OGC:CRS84`. `srid:n` and `projjson:key` are those of Geospatial.md;
//! the key is one of the file's.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};
use serde_json::{Value, json};

use super::{ADJUSTED_TO_UTC_KEY, EXTENSION_METADATA_KEY, EXTENSION_NAME_KEY, LOGICAL_TYPE_KEY};
use crate::error::{Error, Result};
use crate::parquet::format::schema::{GeographyType, GeometryType, VariantType};
use crate::parquet::format::{Empty, KeyValue, LogicalType, SchemaElement};

const UUID: &str = "arrow.uuid";
const JSON: &str = "arrow.json";
const VARIANT: &str = "arrow.parquet.variant";
const FILE: &str = "arrow.parquet.file";
const WKB: &str = "geoarrow.wkb";
const ENUM: &str = "ENUM";
const BSON: &str = "BSON";

/// The version of the Variant encoding, the only one there is.
const VARIANT_VERSION: i8 = 1;

/// What a CRS that several columns name may take, once for each of them.
const SHARED_BYTES_MAX: usize = 64 << 20;

/// How edges are drawn, by the number in parquet.thrift, `EdgeInterpolationAlgorithm`.
const EDGES: [&str; 5] = ["spherical", "vincenty", "thomas", "andoyer", "karney"];

/// What a column's field says of its logical type beside the Arrow type.
pub(super) fn of_leaf(logical: Option<&LogicalType>, key_values: Option<&[KeyValue]>) -> HashMap<String, String> {
    match logical {
        Some(LogicalType::Uuid(_)) => named(UUID, None),
        Some(LogicalType::Json(_)) => named(JSON, Some(String::new())),
        Some(LogicalType::Geometry(g)) => {
            named(WKB, Some(Value::Object(crs(g.crs.as_deref(), key_values)).to_string()))
        }
        Some(LogicalType::Geography(g)) => {
            let number = usize::try_from(g.algorithm.unwrap_or(0)).ok();
            // Edges that are not known must not be taken for others.
            let Some(edges) = number.and_then(|n| EDGES.get(n)) else { return HashMap::new() };
            let mut metadata = crs(g.crs.as_deref(), key_values);
            metadata.insert("edges".into(), json!(edges));
            named(WKB, Some(Value::Object(metadata).to_string()))
        }
        Some(LogicalType::Enum(_)) => HashMap::from([(LOGICAL_TYPE_KEY.into(), ENUM.into())]),
        Some(LogicalType::Bson(_)) => HashMap::from([(LOGICAL_TYPE_KEY.into(), BSON.into())]),
        Some(LogicalType::Time(t)) if t.is_adjusted_to_utc => {
            HashMap::from([(ADJUSTED_TO_UTC_KEY.into(), "true".into())])
        }
        _ => HashMap::new(),
    }
}

/// The same of a group's field.
pub(super) fn of_group(logical: Option<&LogicalType>) -> HashMap<String, String> {
    match logical {
        Some(LogicalType::Variant(_)) => named(VARIANT, Some(String::new())),
        Some(LogicalType::File(_)) => named(FILE, Some(String::new())),
        _ => HashMap::new(),
    }
}

fn named(name: &str, metadata: Option<String>) -> HashMap<String, String> {
    let mut entries = HashMap::from([(EXTENSION_NAME_KEY.into(), name.into())]);
    entries.extend(metadata.map(|metadata| (EXTENSION_METADATA_KEY.into(), metadata)));
    entries
}

/// The logical type that a field asks for beside its Arrow type.
///
/// # Errors
/// [`Error::Invalid`] where an extension's metadata is not what it must be.
pub(super) fn logical(field: &Field, value_type: &DataType) -> Result<Option<LogicalType>> {
    use DataType as D;
    let get = |key: &str| field.metadata().get(key).map(String::as_str);
    let is_text = matches!(value_type, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    let is_bytes = matches!(value_type, D::Binary | D::LargeBinary | D::BinaryView);
    Ok(match (get(EXTENSION_NAME_KEY), get(LOGICAL_TYPE_KEY)) {
        (Some(UUID), _) if *value_type == D::FixedSizeBinary(16) => Some(LogicalType::Uuid(Empty {})),
        (Some(JSON), _) if is_text => Some(LogicalType::Json(Empty {})),
        (Some(WKB), _) if is_bytes => Some(geospatial(get(EXTENSION_METADATA_KEY).unwrap_or_default())?),
        (Some(VARIANT), _) if matches!(value_type, D::Struct(_)) => {
            Some(LogicalType::Variant(VariantType { specification_version: Some(VARIANT_VERSION) }))
        }
        (Some(FILE), _) if matches!(value_type, D::Struct(_)) => Some(LogicalType::File(Empty {})),
        (_, Some(ENUM)) if is_text => Some(LogicalType::Enum(Empty {})),
        (_, Some(BSON)) if is_bytes => Some(LogicalType::Bson(Empty {})),
        _ => None,
    })
}

/// Whether a field of times asks for them to be instants of a day in UTC; without the key they are local ones.
pub(super) fn is_adjusted_to_utc(field: &Field) -> bool {
    field.metadata().get(ADJUSTED_TO_UTC_KEY).is_some_and(|value| value != "false")
}

fn crs(crs: Option<&str>, key_values: Option<&[KeyValue]>) -> serde_json::Map<String, Value> {
    let (crs, kind) = match crs.filter(|crs| !crs.is_empty()) {
        None => (json!("OGC:CRS84"), Some("authority_code")),
        Some(crs) => match crs.split_once(':') {
            Some(("srid", number)) => (json!(number), Some("srid")),
            Some(("projjson", key)) => {
                let found = pair(key, key_values.unwrap_or_default());
                match found.and_then(|kv| serde_json::from_str(kv.value.as_deref()?).ok()) {
                    Some(projjson) => (projjson, Some("projjson")),
                    None => (json!(crs), None),
                }
            }
            // A definition in place of a name.
            _ => match serde_json::from_str::<Value>(crs) {
                Ok(object @ Value::Object(_)) => (object, Some("projjson")),
                _ => (json!(crs), None),
            },
        },
    };
    let mut map = serde_json::Map::from_iter([("crs".to_string(), crs)]);
    map.extend(kind.map(|kind| ("crs_type".to_string(), json!(kind))));
    map
}

fn pair<'a>(key: &str, key_values: &'a [KeyValue]) -> Option<&'a KeyValue> {
    key_values.iter().find(|kv| kv.key == key)
}

/// Many columns may name one CRS among the file's key-values, and each gets a copy of it: [`Error::Limit`] where these, and the
/// pairs that are looked at for them, are too many together.
pub(super) fn check_shared(elements: &[SchemaElement], key_values: Option<&[KeyValue]>) -> Result<()> {
    let key_values = key_values.unwrap_or_default();
    let mut bytes = 0usize;
    for element in elements {
        let crs = match &element.logical_type {
            Some(LogicalType::Geometry(g)) => g.crs.as_deref(),
            Some(LogicalType::Geography(g)) => g.crs.as_deref(),
            _ => None,
        };
        let Some(key) = crs.and_then(|crs| crs.strip_prefix("projjson:")) else { continue };
        let value = pair(key, key_values).and_then(|kv| kv.value.as_ref());
        bytes = bytes.saturating_add(key_values.len()).saturating_add(value.map_or(0, String::len));
        if bytes > SHARED_BYTES_MAX {
            let message = format!("the coordinate systems of all columns take more than {SHARED_BYTES_MAX} bytes");
            return Err(Error::limit(message).in_column(&element.name));
        }
    }
    Ok(())
}

fn geospatial(metadata: &str) -> Result<LogicalType> {
    let broken = |what: &str| Error::invalid(format!("the metadata of geoarrow.wkb {what}: {metadata}"));
    let metadata: Value = match metadata.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).map_err(|e| broken(&format!("is no JSON ({e})")))?,
    };
    let crs = match (metadata.get("crs"), metadata.get("crs_type").and_then(Value::as_str)) {
        (None | Some(Value::Null), _) => None,
        (Some(Value::String(number)), Some("srid")) => Some(format!("srid:{number}")),
        (Some(Value::String(name)), _) if is_longitude_latitude(name) => None,
        (Some(Value::String(name)), _) => Some(name.clone()),
        (Some(object @ Value::Object(_)), _) => {
            let id = object.get("id");
            let authority = id.and_then(|id| id.get("authority")).and_then(Value::as_str).unwrap_or_default();
            let code = match id.and_then(|id| id.get("code")) {
                Some(Value::String(code)) => code.clone(),
                Some(code) => code.to_string(),
                None => String::new(),
            };
            (!is_longitude_latitude(&format!("{authority}:{code}"))).then(|| object.to_string())
        }
        _ => return Err(broken("has a crs that is no name and no object")),
    };
    match metadata.get("edges").unwrap_or(&Value::Null) {
        Value::Null => Ok(LogicalType::Geometry(GeometryType { crs })),
        Value::String(edges) if edges == "planar" => Ok(LogicalType::Geometry(GeometryType { crs })),
        Value::String(edges) => {
            let number = EDGES.iter().position(|name| name == edges).ok_or_else(|| broken("has unknown edges"))?;
            Ok(LogicalType::Geography(GeographyType { crs, algorithm: i32::try_from(number).ok() }))
        }
        _ => Err(broken("has edges that are no name")),
    }
}

/// Spec: Geospatial.md: what holds where no CRS is given; axes are x, y whatever the CRS says.
fn is_longitude_latitude(crs: &str) -> bool {
    matches!(crs, "OGC:CRS84" | "EPSG:4326")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::Type;

    fn field(data_type: DataType, metadata: HashMap<String, String>) -> Field {
        Field::new("a", data_type, true).with_metadata(metadata)
    }

    #[test]
    fn what_is_read_is_asked_for_again() {
        let geometry = |crs: Option<&str>| LogicalType::Geometry(GeometryType { crs: crs.map(Into::into) });
        let geography = |crs: Option<&str>, algorithm| {
            LogicalType::Geography(GeographyType { crs: crs.map(Into::into), algorithm: Some(algorithm) })
        };
        for (data_type, logical_type) in [
            (DataType::FixedSizeBinary(16), LogicalType::Uuid(Empty {})),
            (DataType::Utf8, LogicalType::Json(Empty {})),
            (DataType::Utf8View, LogicalType::Enum(Empty {})),
            (DataType::LargeBinary, LogicalType::Bson(Empty {})),
            (DataType::Binary, geometry(None)),
            (DataType::BinaryView, geometry(Some("srid:5070"))),
            (DataType::Binary, geometry(Some("EPSG:3857"))),
            (DataType::Binary, geometry(Some(r#"{"type":"GeographicCRS"}"#))),
            (DataType::Binary, geography(None, 0)),
            (DataType::Binary, geography(Some("srid:4979"), 4)),
        ] {
            let metadata = of_leaf(Some(&logical_type), None);
            let back = logical(&field(data_type.clone(), metadata), &data_type).expect("valid");
            assert_eq!(back, Some(logical_type));
        }
        for logical_type in
            [LogicalType::Variant(VariantType { specification_version: Some(1) }), LogicalType::File(Empty {})]
        {
            let data_type = DataType::Struct(vec![Field::new("metadata", DataType::Binary, false)].into());
            let metadata = of_group(Some(&logical_type));
            let back = logical(&field(data_type.clone(), metadata), &data_type).expect("valid");
            assert_eq!(back, Some(logical_type));
        }
    }

    #[test]
    fn a_crs_that_many_columns_name_is_bounded() {
        let leaf = SchemaElement {
            type_: Some(Type::ByteArray),
            type_length: None,
            repetition: None,
            name: "g".into(),
            num_children: None,
            converted_type: None,
            scale: None,
            precision: None,
            field_id: None,
            logical_type: Some(LogicalType::Geometry(GeometryType { crs: Some("projjson:k".into()) })),
            vector_length: None,
        };
        let elements = vec![leaf; 2000];
        let pairs =
            |bytes: usize| [KeyValue { key: "k".into(), value: Some(format!("[{}1]", "1,".repeat(bytes / 2))) }];
        check_shared(&elements, Some(&pairs(10_000))).expect("20 MB");
        let e = check_shared(&elements, Some(&pairs(100_000))).expect_err("200 MB");
        assert!(matches!(e, Error::Limit(_)) && e.to_string().contains("column g: the coordinate systems"), "{e}");
        // Neither are a million keys looked at for each column.
        let many: Vec<KeyValue> = (0..100_000).map(|n| KeyValue { key: n.to_string(), value: None }).collect();
        assert!(check_shared(&elements, Some(&many)).is_err());
        check_shared(&elements, None).expect("nothing");
    }

    #[test]
    fn geometry_is_told_as_geoarrow_tells_it() {
        let of = |logical: &LogicalType, key_values: Option<&[KeyValue]>| {
            let metadata = of_leaf(Some(logical), key_values);
            assert_eq!(metadata[EXTENSION_NAME_KEY], "geoarrow.wkb");
            serde_json::from_str::<Value>(&metadata[EXTENSION_METADATA_KEY]).expect("JSON")
        };
        let geometry = |crs: &str| LogicalType::Geometry(GeometryType { crs: Some(crs.into()) });
        assert_eq!(of(&geometry(""), None), json!({"crs": "OGC:CRS84", "crs_type": "authority_code"}));
        assert_eq!(of(&geometry("srid:1234"), None), json!({"crs": "1234", "crs_type": "srid"}));
        let pair = KeyValue { key: "my crs".into(), value: Some(r#"{"name": "x"}"#.into()) };
        let by_key = of(&geometry("projjson:my crs"), Some(&[pair]));
        assert_eq!(by_key, json!({"crs": {"name": "x"}, "crs_type": "projjson"}));
        assert_eq!(of(&geometry("projjson:none"), None), json!({"crs": "projjson:none"}));
        let geography = LogicalType::Geography(GeographyType { crs: None, algorithm: None });
        assert_eq!(of(&geography, None)["edges"], "spherical");
        // Edges of the future: bytes, and no claim.
        let future = LogicalType::Geography(GeographyType { crs: None, algorithm: Some(9) });
        assert_eq!(of_leaf(Some(&future), None), HashMap::new());
    }

    #[test]
    fn longitude_and_latitude_are_the_default_however_they_are_named() {
        for metadata in [
            "",
            "{}",
            r#"{"crs": null, "edges": "planar"}"#,
            r#"{"crs": "OGC:CRS84"}"#,
            r#"{"crs": "EPSG:4326", "crs_type": "authority_code"}"#,
            r#"{"crs": {"name": "WGS 84", "id": {"authority": "EPSG", "code": 4326}}}"#,
        ] {
            assert_eq!(geospatial(metadata).expect("valid"), LogicalType::Geometry(GeometryType { crs: None }));
        }
        for broken in ["x", r#"{"crs": 7}"#, r#"{"edges": "wavy"}"#, r#"{"edges": 1}"#] {
            assert_eq!(geospatial(broken).expect_err("broken").kind(), "invalid", "{broken}");
        }
    }

    #[test]
    fn an_extension_on_another_type_says_nothing() {
        for (name, data_type) in [
            (UUID, DataType::FixedSizeBinary(8)),
            (JSON, DataType::Binary),
            (WKB, DataType::Utf8),
            (VARIANT, DataType::Binary),
            ("arrow.opaque", DataType::Binary),
        ] {
            let field = field(data_type.clone(), named(name, Some("not JSON".into())));
            assert_eq!(logical(&field, &data_type).expect("no matter"), None, "{name}");
        }
    }
}
