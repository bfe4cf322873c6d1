//! Known peers between runs: a JSON file of signed records, replaced atomically.
//!
//! The file is trusted no more than a peer: every record in it is verified again when it is read.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::record::SignedRecord;
use crate::atomic_file;

/// Longest file read. 1024 records of 1 KiB in hex need half of it.
const FILE_BYTES_MAX: u64 = 4 << 20;
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    /// Signed envelopes in hex, the peers met last first.
    peers: Vec<String>,
}

/// The file of known peers.
#[derive(Debug, Clone)]
pub(crate) struct Peerstore {
    path: PathBuf,
}

impl Peerstore {
    /// Makes the folder if needed. Blocking file access, as everything here.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent()
            && !folder.as_os_str().is_empty()
        {
            atomic_file::make_private_folder(folder)?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The kept records that verify, at most `max`. A file that cannot be understood is set aside with the
    /// ending `.damaged`: a node without memory still starts from its bootstrap peers.
    pub(crate) fn load(&self, max: usize) -> io::Result<Vec<SignedRecord>> {
        let bytes = match atomic_file::read_bounded(&self.path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return self.set_aside(),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<File>(&bytes) {
            Ok(File {
                version: VERSION,
                peers,
            }) => Ok(peers
                .iter()
                .take(max)
                .filter_map(|encoded| hex::decode(encoded).ok())
                .filter_map(|encoded| SignedRecord::verify(&encoded).ok())
                .collect()),
            Ok(File { .. }) | Err(_) => self.set_aside(),
        }
    }

    fn set_aside(&self) -> io::Result<Vec<SignedRecord>> {
        let aside = self.path.with_extension("damaged");
        tracing::warn!(path = %self.path.display(), "the peerstore is damaged and was set aside");
        std::fs::rename(&self.path, aside)?;
        Ok(Vec::new())
    }

    /// The file's content for these records.
    pub(crate) fn encode(records: &[&SignedRecord]) -> Vec<u8> {
        let peers = records
            .iter()
            .map(|record| hex::encode(record.encoded()))
            .collect();
        serde_json::to_vec(&File {
            version: VERSION,
            peers,
        })
        .unwrap_or_default()
    }

    /// Replaces the file.
    pub(crate) fn save(&self, content: &[u8]) -> io::Result<()> {
        atomic_file::replace(&self.path, content)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::record::tests::record_with, *};

    #[test]
    fn kept_records_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Peerstore::open(&folder.path().join("deep/peers.json")).unwrap();
        assert!(store.load(9).unwrap().is_empty());
        let (a, b) = (
            record_with(&["/ip4/1.1.1.1/tcp/1"]),
            record_with(&["/ip4/2.2.2.2/tcp/1"]),
        );
        store.save(&Peerstore::encode(&[&a, &b])).unwrap();
        assert_eq!(store.load(9).unwrap(), [a.clone(), b]);
        assert_eq!(store.load(1).unwrap(), [a]);
    }

    #[test]
    fn a_record_forged_in_the_file_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Peerstore::open(&folder.path().join("peers.json")).unwrap();
        let (a, b) = (
            record_with(&["/ip4/1.1.1.1/tcp/1"]),
            record_with(&["/ip4/2.2.2.2/tcp/1"]),
        );
        let content = String::from_utf8(Peerstore::encode(&[&a, &b])).unwrap();
        let genuine = hex::encode([1, 1, 1, 1]);
        assert!(content.contains(&genuine));
        store
            .save(
                content
                    .replace(&genuine, &hex::encode([6, 6, 6, 6]))
                    .as_bytes(),
            )
            .unwrap();
        assert_eq!(store.load(9).unwrap(), [b]);
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.json");
        let store = Peerstore::open(&path).unwrap();
        fs::write(&path, b"{\"version\":2,\"peers\":[]}").unwrap();
        assert!(store.load(9).unwrap().is_empty());
        assert!(!path.exists());
        assert!(folder.path().join("peers.damaged").exists());
    }
}
