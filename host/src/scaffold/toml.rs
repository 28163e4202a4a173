//! TOML that keeps its comments and spaces.

use toml_edit::DocumentMut;

pub fn parse(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())
}
