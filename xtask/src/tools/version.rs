//! The first two numbers of a version, which is as much as any requirement here asks for.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u64, pub(crate) u64);

impl Version {
    /// The first `number.number` in a text, or a lone `number` that starts a word.
    pub(crate) fn find(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || c == '(' || c == ',')
            .find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let mut parts = word.trim_start_matches('v').split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().map_or(Some(0), leading_number)?;
        Some(Self(major, minor))
    }
}

fn leading_number(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let cases = [
            ("rustc 1.95.0 (59807616e 2026-04-14)", Some(Version(1, 95))),
            ("v20.20.2", Some(Version(20, 20))),
            ("git version 2.47.3", Some(Version(2, 47))),
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                Some(Version(15, 18)),
            ),
            ("initdb (PostgreSQL) 17rc1", None),
            ("postgres (PostgreSQL) 18 (Debian)", Some(Version(18, 0))),
            ("11.19.1", Some(Version(11, 19))),
            ("nothing here", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Version::find(text), expected, "{text}");
        }
    }

    #[test]
    fn versions_compare_by_number_not_by_letter() {
        assert!(Version(1, 100) > Version(1, 95));
        assert!(Version(2, 0) > Version(1, 95));
    }
}
