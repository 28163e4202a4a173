//! Writing a file as a whole: a reader sees the old contents or the new ones.

use std::fs;
use std::path::Path;

use super::error::Error;

/// Writes `bytes` unless the file holds them already; returns whether it wrote them.
pub fn atomically(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    if fs::metadata(path).is_ok_and(|m| m.len() == bytes.len() as u64) && fs::read(path).is_ok_and(|b| b == bytes) {
        return Ok(false);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let other = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = fs::write(&other, bytes).and_then(|()| fs::rename(&other, path));
    written.map_err(|e| {
        // On a full disk, half a file takes space for nothing.
        let _ = fs::remove_file(&other);
        Error::write(path)(e)
    })?;
    Ok(true)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_not_written_again_and_no_temporary_file_remains() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/file");
        assert!(atomically(&path, b"one").unwrap());
        assert!(!atomically(&path, b"one").unwrap());
        assert!(atomically(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "in the way").unwrap();
        let error = atomically(&dir.path().join("file/component.wasm"), b"x").unwrap_err();
        assert!(error.to_string().contains("/file`"), "{error}");
    }

    #[test]
    fn the_error_of_a_full_disk_has_a_hint() {
        // Every write to this device fails as on a full disk.
        let error = Error::write(Path::new("/dev/full"))(fs::write("/dev/full", "x").unwrap_err());
        assert!(error.hint().unwrap().contains("space"), "{error:?}");
    }
}
