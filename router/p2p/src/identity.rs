//! The key of the node: it authenticates connections and gossip, and nothing else.
//!
//! It is never a wallet, envelope or validator key: whoever steals it can pretend to be this node on the
//! network, and cannot move money or sign a market object.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use libp2p::{PeerId, identity::Keypair};
use zeroize::Zeroizing;

use crate::{IdentityError, atomic_file};

/// Name of the key file: libp2p's protobuf encoding of the private key.
const KEY_FILE: &str = "node.key";
/// An ed25519 private key is 68 bytes in that encoding.
const KEY_FILE_BYTES_MAX: u64 = 256;

/// The identity of a node on the network.
#[derive(Clone)]
pub struct NodeIdentity {
    keypair: Keypair,
}

impl NodeIdentity {
    /// A fresh identity that is not kept.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(IdentityError::NoRandomness)?;
        let keypair = Keypair::ed25519_from_bytes(seed.as_mut_slice()).map_err(|_| {
            IdentityError::NotAKey {
                path: PathBuf::from(KEY_FILE),
            }
        })?;
        Ok(Self { keypair })
    }

    /// Loads the identity kept in `folder`, or makes one and keeps it (mode 0600).
    ///
    /// Two processes that start at once end up with the same identity. A key that others may read is
    /// refused rather than used. Blocking file access.
    pub fn load_or_create(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join(KEY_FILE);
        let at = |path: &Path, source| IdentityError::Io {
            path: path.to_owned(),
            source,
        };
        match Self::load(&path) {
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        atomic_file::make_private_folder(folder).map_err(|error| at(folder, error))?;
        let fresh = Self::generate()?;
        let encoded = fresh
            .keypair
            .to_protobuf_encoding()
            .map(Zeroizing::new)
            .map_err(|_| IdentityError::NotAKey { path: path.clone() })?;
        match atomic_file::create(&path, &encoded) {
            Ok(()) => Ok(fresh),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(&path),
            Err(error) => Err(at(&path, error)),
        }
    }

    fn load(path: &Path) -> Result<Self, IdentityError> {
        let at = |source| IdentityError::Io {
            path: path.to_owned(),
            source,
        };
        let mode = fs::metadata(path).map_err(at)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(IdentityError::OpenToOthers {
                path: path.to_owned(),
                mode,
            });
        }
        let encoded =
            Zeroizing::new(atomic_file::read_bounded(path, KEY_FILE_BYTES_MAX).map_err(at)?);
        Keypair::from_protobuf_encoding(&encoded)
            .map(|keypair| Self { keypair })
            .map_err(|_| IdentityError::NotAKey {
                path: path.to_owned(),
            })
    }

    /// The public name of this identity.
    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeIdentity")
            .field("peer", &self.peer_id())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_a_restart_and_its_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("deep/state");
        let first = NodeIdentity::load_or_create(&inner).unwrap();
        let second = NodeIdentity::load_or_create(&inner).unwrap();
        assert_eq!(first.peer_id(), second.peer_id());
        let mode = fs::metadata(inner.join(KEY_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn two_folders_have_two_identities() {
        let folder = tempfile::tempdir().unwrap();
        let a = NodeIdentity::load_or_create(&folder.path().join("a")).unwrap();
        let b = NodeIdentity::load_or_create(&folder.path().join("b")).unwrap();
        assert_ne!(a.peer_id(), b.peer_id());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        NodeIdentity::load_or_create(folder.path()).unwrap();
        let path = folder.path().join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = NodeIdentity::load_or_create(folder.path());
        assert!(matches!(
            refused,
            Err(IdentityError::OpenToOthers { mode: 0o640, .. })
        ));
    }

    #[test]
    fn a_damaged_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        atomic_file::create(&path, b"not a key").unwrap();
        let refused = NodeIdentity::load_or_create(folder.path());
        assert!(matches!(refused, Err(IdentityError::NotAKey { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"not a key");
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_identity() {
        let folder = tempfile::tempdir().unwrap();
        let peers: Vec<PeerId> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        NodeIdentity::load_or_create(folder.path())
                            .unwrap()
                            .peer_id()
                    })
                })
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        assert!(
            peers.iter().all(|peer| Some(peer) == peers.first()),
            "{peers:?}"
        );
    }
}
