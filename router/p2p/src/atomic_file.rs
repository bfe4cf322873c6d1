//! Files that are either the old or the new version, also after a power cut. Readable by the owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Makes the folder, readable by its owner only, if it is missing.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Puts `bytes` in place of `path`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = stage(path, bytes)?;
    if let Err(error) = fs::rename(&staged, path) {
        discard(&staged);
        return Err(error);
    }
    sync_folder(path)
}

/// Makes `path` with `bytes`, or fails with [`io::ErrorKind::AlreadyExists`] and changes nothing.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = stage(path, bytes)?;
    // A rename would silently replace a file another process made meanwhile; a link does not.
    let linked = fs::hard_link(&staged, path);
    discard(&staged);
    linked?;
    sync_folder(path)
}

/// Reads at most `limit` bytes; a longer file is an error of kind `FileTooLarge`.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    let read = io::Read::read_to_end(
        &mut io::Read::take(file, limit.saturating_add(1)),
        &mut bytes,
    )?;
    if u64::try_from(read).is_ok_and(|read| read > limit) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn stage(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let unique = getrandom::u64().map_err(io::Error::other)?;
    let staged = path.with_extension(format!("{unique:016x}.new"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staged)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        discard(&staged);
        return Err(error);
    }
    Ok(staged)
}

fn discard(staged: &Path) {
    if let Err(error) = fs::remove_file(staged) {
        tracing::warn!(path = %staged.display(), %error, "a staged file stays behind");
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_never_replaces_and_replace_always_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        create(&path, b"one").unwrap();
        assert_eq!(
            create(&path, b"two").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no staged file is left"
        );
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, &[7; 9]).unwrap();
        assert_eq!(read_bounded(&path, 9).unwrap().len(), 9);
        assert_eq!(
            read_bounded(&path, 8).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}
