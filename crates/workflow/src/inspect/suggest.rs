//! "Did you mean": the known name that is nearest to an unknown one.

/// Longer names are not compared: they are not typing errors.
const LENGTH_MAX: usize = 64;

/// Names beyond this are not looked at.
const NAMES_MAX: usize = 10_000;

/// The one of `known` that differs from `name` by the fewest edits, if these are few enough to be a
/// slip: one in three characters, at least one.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    if name.is_empty() || name.len() > LENGTH_MAX {
        return None;
    }
    let bound = (name.len() / 3).max(1);
    known
        .into_iter()
        .take(NAMES_MAX)
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().collect();
            if letters.len().abs_diff(name.len()) > bound {
                return None;
            }
            let distance = distance(&name, &letters);
            (distance <= bound && distance < letters.len()).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(left != right);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}
