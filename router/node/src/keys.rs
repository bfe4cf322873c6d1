//! Key files: 64 hex digits of an Ed25519 secret, mode 0600, never overwritten.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use d402_objects::SigningKey;
use zeroize::Zeroizing;

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("key file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold 64 hex digits.
    #[error("{} does not hold a key (64 hex digits)", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// No randomness.
    #[error("the system gave no random bytes")]
    Entropy,
}

/// Reads a key.
///
/// # Errors
/// [`KeyError`].
pub fn load(path: &Path) -> Result<SigningKey, KeyError> {
    Ok(SigningKey::from_bytes(&*secret(path)?))
}

/// 32 secret bytes of a key file.
///
/// # Errors
/// [`KeyError`].
pub fn secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| KeyError::File {
            path: path.to_owned(),
            source,
        })?;
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| KeyError::NotAKey {
        path: path.to_owned(),
    })?;
    Ok(bytes)
}

/// Makes a new key file; refuses to touch one that exists.
///
/// # Errors
/// [`KeyError`].
pub fn create(path: &Path) -> Result<SigningKey, KeyError> {
    let file_error = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(file_error)?;
    }
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeyError::Entropy)?;
    let text = Zeroizing::new(hex::encode(bytes.as_slice()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(file_error)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(file_error)?;
    Ok(SigningKey::from_bytes(&bytes))
}

/// Reads a key, or makes it when there is no such file.
///
/// # Errors
/// [`KeyError`]; an unreadable file is never replaced.
pub fn load_or_create(path: &Path) -> Result<SigningKey, KeyError> {
    if path.exists() {
        load(path)
    } else {
        create(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/buyer.key");
        let made = load_or_create(&path).unwrap();
        assert_eq!(made.to_bytes(), load_or_create(&path).unwrap().to_bytes());
        assert!(matches!(create(&path), Err(KeyError::File { .. })));
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        std::fs::write(&path, "not hex").unwrap();
        assert!(matches!(
            load_or_create(&path),
            Err(KeyError::NotAKey { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not hex");
    }
}
