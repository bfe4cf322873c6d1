//! One number for what something is made of: names a folder of the cache.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Of files and of everything below folders: names and contents. Where a build wrote into them (`target`)
/// nothing counts.
pub(super) fn of_files(root: &Path, places: &[&str]) -> Result<u64, Failure> {
    let mut files = Vec::new();
    for place in places {
        collect(&root.join(place), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(root).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file)
            .map_err(Failure::file("reading", &file))?
            .hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn collect(place: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if place.is_file() {
        files.push(place.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(place).map_err(Failure::file("listing", place))?;
    for entry in entries {
        let entry = entry.map_err(Failure::file("listing", place))?;
        if entry.file_name() != "target" {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_or_another_content_is_another_number_and_a_build_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let number = || of_files(root, &["src", "Cargo.lock"]).unwrap();
        fs::create_dir_all(root.join("src/target")).unwrap();
        fs::write(root.join("src/a"), "1").unwrap();
        fs::write(root.join("Cargo.lock"), "1").unwrap();
        let first = number();
        fs::write(root.join("src/target/b"), "2").unwrap();
        assert_eq!(number(), first);
        fs::write(root.join("src/a"), "2").unwrap();
        let second = number();
        assert_ne!(second, first);
        fs::rename(root.join("src/a"), root.join("src/c")).unwrap();
        assert_ne!(number(), second);
        fs::remove_file(root.join("Cargo.lock")).unwrap();
        assert!(of_files(root, &["src", "Cargo.lock"]).is_err());
    }
}
