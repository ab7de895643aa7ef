//! What an image says of its boxes, in its label: keys of a devcontainer.json, in one object or a list of them, whose last one
//! has the word. The project's file stands behind all of them.
//!
//! Variables of both go together, and so do mounts, but for several at one place; commands of both run, the image's first. A
//! box is like the other keys anyway, or they are an editor's.

use super::flags;
use super::keys::Keys;
use serde_json::Value;

pub const LABEL: &str = "devcontainer.metadata";

const USERS: [&str; 2] = ["remoteUser", "containerUser"];
const VARIABLES: [&str; 2] = ["containerEnv", "remoteEnv"];
const MOUNTS: &str = "mounts";

/// The objects of the label. What cannot be read is said, and left out.
pub fn parse(label: &str) -> Result<Vec<Keys>, String> {
    let bad = |why: String| format!("the image's label {LABEL} is left out: {why}");
    let value: Value = serde_json::from_str(label).map_err(|e| bad(e.to_string()))?;
    let all = match value {
        Value::Array(all) => all,
        one => vec![one],
    };
    let object = |value| match value {
        Value::Object(keys) => Ok(keys),
        _ => Err(bad("it is not made of objects".to_owned())),
    };
    all.into_iter().map(object).collect()
}

/// Puts what they say before what the file says; but for commands.
pub fn merge(image: &[Keys], file: &mut Keys) {
    for key in USERS {
        let said = image.iter().rev().find_map(|keys| keys.get(key).filter(|value| value.is_string()));
        if let (Some(said), None) = (said, file.get(key)) {
            file.insert(key.to_owned(), said.clone());
        }
    }
    for key in VARIABLES {
        let mut all = Keys::new();
        let objects = image.iter().filter_map(|keys| keys.get(key)?.as_object());
        objects.for_each(|object| all.extend(object.clone()));
        match file.get(key) {
            Some(Value::Object(own)) => all.extend(own.clone()),
            None | Some(Value::Null) => {}
            // It is refused.
            Some(_) => continue,
        }
        if !all.is_empty() {
            file.insert(key.to_owned(), Value::Object(all));
        }
    }
    let own = match file.get(MOUNTS) {
        Some(Value::Array(own)) => own.clone(),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return,
    };
    let mut mounts: Vec<Value> = Vec::new();
    for mount in image.iter().filter_map(|keys| keys.get(MOUNTS)?.as_array()).flatten() {
        mounts.retain(|other| place(other) != place(mount));
        mounts.push(mount.clone());
    }
    mounts.retain(|mount| !own.iter().any(|other| place(other) == place(mount)));
    // Two of the file's at one place are refused.
    mounts.extend(own);
    if !mounts.is_empty() {
        file.insert(MOUNTS.to_owned(), Value::Array(mounts));
    }
}

/// Where it is mounted.
fn place(mount: &Value) -> Option<String> {
    let text = flags::mount(mount).ok()?;
    let fields =
        text.split(',').map(|field| field.trim_matches('"')).filter_map(|field| field.split_once('='));
    let mut places = fields.filter(|(key, _)| matches!(*key, "target" | "dst" | "destination"));
    places.next().map(|(_, place)| place.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_one_has_the_word_and_the_file_the_very_last() {
        let image = parse(
            &json!([
                {"remoteUser": "one", "containerEnv": {"A": "1", "B": "1"}, "mounts": ["source=a,target=/m/,type=volume"]},
                {"remoteUser": "two", "containerEnv": {"B": "2", "C": "2"}, "mounts": [{"source": "b", "target": "/m", "type": "volume"},
                    "source=c,target=/n,type=volume"]},
            ])
            .to_string(),
        )
        .unwrap();
        let mut file =
            json!({"containerEnv": {"C": "3"}, "mounts": ["type=tmpfs,dst=/n"]}).as_object().unwrap().clone();
        merge(&image, &mut file);
        assert_eq!(
            Value::Object(file),
            json!({"remoteUser": "two", "containerEnv": {"A": "1", "B": "2", "C": "3"},
                "mounts": [{"source": "b", "target": "/m", "type": "volume"}, "type=tmpfs,dst=/n"]})
        );
        assert!(parse("{}").unwrap().len() == 1 && parse("[1]").is_err() && parse("x").is_err());
    }
}
