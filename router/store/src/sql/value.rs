//! What goes into a statement and what comes out of a row.

use crate::fault::Fault;

/// A bound parameter.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(Vec<u8>),
    OptBytes(Option<Vec<u8>>),
    Int(i64),
    OptInt(Option<i64>),
    Text(String),
}

impl From<[u8; 32]> for Value {
    fn from(id: [u8; 32]) -> Self {
        Self::Bytes(id.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// One column of one row.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Bytes(Vec<u8>),
    Int(i64),
    Text(String),
}

/// One row, columns in the order of the `SELECT`.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

impl Row {
    /// Column `index` as bytes.
    pub(crate) fn bytes(&self, index: usize) -> Result<&[u8], Fault> {
        match self.0.get(index) {
            Some(Cell::Bytes(bytes)) => Ok(bytes),
            Some(Cell::Null | Cell::Int(_) | Cell::Text(_)) | None => {
                Err(Fault::Broken("a column holds no bytes"))
            }
        }
    }

    /// Takes column `index` out as bytes.
    pub(crate) fn take_bytes(&mut self, index: usize) -> Result<Vec<u8>, Fault> {
        match self.0.get_mut(index) {
            Some(Cell::Bytes(bytes)) => Ok(std::mem::take(bytes)),
            Some(Cell::Null | Cell::Int(_) | Cell::Text(_)) | None => {
                Err(Fault::Broken("a column holds no bytes"))
            }
        }
    }

    /// Column `index` as an integer.
    pub(crate) fn int(&self, index: usize) -> Result<i64, Fault> {
        match self.0.get(index) {
            Some(Cell::Int(int)) => Ok(*int),
            Some(Cell::Null | Cell::Bytes(_) | Cell::Text(_)) | None => {
                Err(Fault::Broken("a column holds no integer"))
            }
        }
    }

    /// Column `index` as an integer that may be missing.
    pub(crate) fn opt_int(&self, index: usize) -> Result<Option<i64>, Fault> {
        match self.0.get(index) {
            Some(Cell::Null) => Ok(None),
            Some(Cell::Int(_) | Cell::Bytes(_) | Cell::Text(_)) | None => self.int(index).map(Some),
        }
    }

    /// Column `index` as text.
    pub(crate) fn text(&self, index: usize) -> Result<&str, Fault> {
        match self.0.get(index) {
            Some(Cell::Text(text)) => Ok(text),
            Some(Cell::Null | Cell::Bytes(_) | Cell::Int(_)) | None => {
                Err(Fault::Broken("a column holds no text"))
            }
        }
    }
}
