//! Content by CID: files beside the embedded database, rows in a shared one.

mod files;
mod table;

use d402_objects::Cid;

use crate::fault::Fault;

pub(crate) use files::FileBlobs;
pub(crate) use table::TableBlobs;

/// Lets stored bytes out when they are those of `cid`.
pub(crate) fn verified(cid: Cid, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if Cid::of(&bytes) == cid {
        Ok(bytes)
    } else {
        Err(Fault::Broken("stored content does not hash to its CID"))
    }
}
