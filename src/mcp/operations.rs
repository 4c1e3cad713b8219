//! What a message asks for ([JSON-RPC 2.0](https://www.jsonrpc.org/specification)).

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What of a message decides which scopes it needs. A member that is there twice is an error: the service inside might
/// read the other one.
#[derive(Deserialize)]
pub(super) struct Message {
    /// None: it is an answer to the server.
    method: Option<String>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    name: Option<Name>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Other(IgnoredAny),
}

/// The call of a tool, which names it.
pub(super) const CALL: &str = "tools/call";

/// The body names nothing that can be looked up.
#[derive(Debug)]
pub(super) struct Illegible;

impl Message {
    /// The messages of a body: one, or in the revision 2025-03-26 several.
    pub(super) fn read(body: &[u8]) -> Result<Vec<Self>, Illegible> {
        let messages = match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => serde_json::from_slice(body),
            // A structure would be read from a list, too.
            Some(b'{') => serde_json::from_slice(body).map(|message| vec![message]),
            _ => return Err(Illegible),
        };
        messages.map_err(|_| Illegible)
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The tool that is called.
    pub(super) fn tool(&self) -> Result<Option<&str>, Illegible> {
        match (self.method(), self.params.as_ref().and_then(|params| params.name.as_ref())) {
            (Some(CALL), Some(Name::Text(name))) => Ok(Some(name)),
            (Some(CALL), None | Some(Name::Other(_))) => Err(Illegible),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(body: &str) -> Result<Vec<Option<String>>, Illegible> {
        let messages = Message::read(body.as_bytes())?;
        messages.iter().map(|message| Ok(message.tool()?.map(str::to_owned))).collect()
    }

    #[test]
    fn a_call_names_its_tool_however_it_is_written() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"name":"read"}}}"#,
            r#"{"params":{"arguments":[[{"name":1}]],"name":"\u0061dd"},"method":"tools\/call"}"#,
            " \n{\"method\":\"tools/call\",\"params\":{\"name\":\"add\",\"_meta\":null}}",
        ] {
            assert_eq!(called(body).expect(body), [Some("add".to_owned())]);
        }
        let batch = r#"[{"method":"ping"},{"method":"tools/call","params":{"name":"add"}},{"id":1,"result":{}}]"#;
        assert_eq!(called(batch).expect("a batch"), [None, Some("add".to_owned()), None]);
        let other = r#"{"method":"custom","params":{"name":5}}"#;
        assert_eq!(called(other).expect("no call"), [None]);
    }

    /// What can be read in two ways, or not at all, is not passed on to whoever reads it in the other one.
    #[test]
    fn what_two_readers_could_read_differently_is_not_read() {
        for body in [
            "",
            "5",
            "null",
            "\"tools/call\"",
            "{",
            r#"{"method":"ping"} {"method":"tools/call"}"#,
            r#"{"method":"tools/call"}"#,
            r#"{"method":"tools/call","params":null}"#,
            r#"{"method":"tools/call","params":{"name":5}}"#,
            r#"{"method":"tools/call","params":{"name":null}}"#,
            r#"{"method":"ping","method":"tools/call","params":{"name":"add"}}"#,
            r#"{"method":"tools/call","params":{"name":"read","name":"add"}}"#,
            r#"{"method":"tools/call","params":{"name":"read"},"params":{"name":"add"}}"#,
            r#"{"method":"tools/call","params":{"name":"\ud800add"}}"#,
            r#"{"method":5}"#,
            r#"[["tools/call",{"name":"add"}],5]"#,
            "\u{feff}{\"method\":\"ping\"}",
        ] {
            assert!(called(body).is_err(), "{body}");
        }
    }
}
