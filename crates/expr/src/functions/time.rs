//! `to_human_time_from_seconds`.

/// The parts `y d h m s` of a whole number of seconds from 1 on, from the first that is not zero.
///
/// Days are those within the month in which the moment falls, counted from the year 1: months do
/// not show at all. `None` if the year 10000 is reached.
pub(crate) fn human(seconds: i64) -> Option<String> {
    let start = jiff::civil::date(1, 1, 1).at(0, 0, 0, 0);
    let moment = start
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .ok()?;
    let parts = [
        (i64::from(moment.year()) - 1, 'y'),
        (i64::from(moment.day()) - 1, 'd'),
        (i64::from(moment.hour()), 'h'),
        (i64::from(moment.minute()), 'm'),
        (i64::from(moment.second()), 's'),
    ];
    let Some(first) = parts.iter().position(|(number, _)| *number != 0) else {
        return Some("0s".into());
    };
    Some(
        parts[first..]
            .iter()
            .map(|(number, unit)| format!("{number}{unit}"))
            .collect(),
    )
}
