//! As much of JSON Schema as docs/schema uses.

use serde_json::Value;

/// Checks a value against a schema: where it does not hold, and why.
pub(crate) fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let mut schema = schema;
    while let Some(reference) = schema["$ref"].as_str() {
        schema =
            root.pointer(reference.trim_start_matches('#')).expect("what is referred to is there");
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let outcomes: Vec<_> = any.iter().map(|one| check(root, one, value)).collect();
        if !outcomes.iter().any(Result::is_ok) {
            return Err(format!("none of {outcomes:#?}"));
        }
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{value} is none of {allowed:?}"));
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return Err(format!("{value} is not {constant}"));
    }
    of_type(schema, value)?;
    match value {
        Value::Object(fields) => object(root, schema, fields),
        Value::Array(items) => array(root, schema, items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn of_type(schema: &Value, value: &Value) -> Result<(), String> {
    let is = |name: &Value| match name.as_str().expect("a type is a word") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    let found = match schema.get("type") {
        None => true,
        Some(Value::Array(names)) => names.iter().any(is),
        Some(name) => is(name),
    };
    if !found {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    if schema["minimum"].as_f64().is_some_and(|least| value.as_f64().is_some_and(|v| v < least)) {
        return Err(format!("{value} is too small"));
    }
    Ok(())
}

fn object(
    root: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a field has a name");
        if !fields.contains_key(name) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in fields {
        match schema["properties"].get(name) {
            Some(property) => {
                check(root, property, value).map_err(|why| format!("{name}: {why}"))?;
            }
            None if schema["additionalProperties"] == false => {
                return Err(format!("{name} is not described"));
            }
            None => {}
        }
    }
    Ok(())
}

fn array(root: &Value, schema: &Value, items: &[Value]) -> Result<(), String> {
    let first: &[Value] = schema["prefixItems"].as_array().map_or(&[], Vec::as_slice);
    for (index, item) in items.iter().enumerate() {
        let of = match first.get(index) {
            Some(of) => of,
            None if schema["items"].is_object() => &schema["items"],
            None if schema["items"] == false => return Err("there are too many".to_owned()),
            None => continue,
        };
        check(root, of, item).map_err(|why| format!("{index}: {why}"))?;
    }
    if schema["minItems"].as_u64().is_some_and(|least| (items.len() as u64) < least) {
        return Err("there are too few".to_owned());
    }
    Ok(())
}
