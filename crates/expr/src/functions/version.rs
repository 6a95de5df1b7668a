//! Semantic versions 2.0, strictly `x.y.z`.

use std::cmp::Ordering;

use num_bigint::BigUint;

#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) numbers: [BigUint; 3],
    pre_release: Vec<String>,
}

impl Version {
    /// Reads a version; anything but the strict form is none.
    pub(crate) fn parse(text: &str) -> Option<Version> {
        if text.len() > 1000 {
            return None;
        }
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (core, pre_release) = match text.split_once('-') {
            Some((core, pre_release)) => (core, Some(pre_release)),
            None => (text, None),
        };
        let is_identifier = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let pre_release: Vec<String> = match pre_release {
            None => Vec::new(),
            Some(text) => text.split('.').map(String::from).collect(),
        };
        let is_valid =
            |part: &String| is_identifier(part) && (!is_number(part) || !has_leading_zero(part));
        if !pre_release.iter().all(is_valid) {
            return None;
        }
        let numbers: Vec<BigUint> = core
            .split('.')
            .map(|part| {
                if !is_number(part) || has_leading_zero(part) {
                    return None;
                }
                part.parse().ok()
            })
            .collect::<Option<_>>()?;
        Some(Version {
            numbers: numbers.try_into().ok()?,
            pre_release,
        })
    }

    pub(crate) fn compare(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => self.compare_pre_releases(other),
            }
        })
    }

    fn compare_pre_releases(&self, other: &Version) -> Ordering {
        for (a, b) in self.pre_release.iter().zip(&other.pre_release) {
            let ordering = match (is_number(a), is_number(b)) {
                (true, true) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        self.pre_release.len().cmp(&other.pre_release.len())
    }

    /// The version after this one at `part` (0 major, 1 minor, 2 patch), without pre-release.
    pub(crate) fn bumped(&self, part: usize) -> String {
        let mut numbers = self.numbers.clone();
        numbers[part] += 1u32;
        for number in numbers.iter_mut().skip(part + 1) {
            *number = BigUint::default();
        }
        format!("{}.{}.{}", numbers[0], numbers[1], numbers[2])
    }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(part: &str) -> bool {
    part.len() > 1 && part.starts_with('0')
}
