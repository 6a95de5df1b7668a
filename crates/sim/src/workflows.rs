//! Workflows drawn at random: sequences, forks, joins, items, retries, nesting.

use std::fmt::Write;

use crate::chance::Chance;

/// How many workflow actions there are; number `n` calls only those before it.
pub(crate) const COUNT: usize = 6;

/// The text of workflow number `number`.
pub(crate) fn draw(chance: &Chance, number: usize) -> String {
    let count = chance.index(6) + 1;
    let mut text = String::from("version: 1.0\ninput: [n]\n");
    let mut above = vec![0; count];
    let mut tasks = Vec::new();
    for index in 0..count {
        let mut next = Vec::new();
        for (target, above) in above.iter_mut().enumerate().skip(index + 1) {
            let close = target == index + 1;
            if chance.per_mille(if close { 650 } else { 200 }) {
                *above += 1;
                next.push((
                    target,
                    *chance.pick(&["succeeded()", "failed()", "completed()"]),
                ));
            }
        }
        tasks.push(next);
    }
    if chance.per_mille(80) {
        let _ = writeln!(text, "timeout: {}", chance.between(2, 20));
    }
    text.push_str("tasks:\n");
    for (index, next) in tasks.iter().enumerate() {
        let _ = writeln!(text, "  t{index}:");
        if above[index] > 1 && chance.per_mille(700) {
            text.push_str("    join: all\n");
        }
        body(chance, number, &mut text);
        if !next.is_empty() {
            text.push_str("    next:\n");
            for (target, when) in next {
                let _ = writeln!(text, "      - when: <% {when} %>\n        do: t{target}");
            }
        }
    }
    text
}

fn body(chance: &Chance, number: usize, text: &mut String) {
    if chance.per_mille(100) {
        // A task that only passes control on.
        return;
    }
    if chance.per_mille(200) {
        let items = chance.below(5);
        let list: Vec<String> = (0..items).map(|item| item.to_string()).collect();
        text.push_str("    with:\n");
        let _ = writeln!(text, "      items: <% list({}) %>", list.join(", "));
        if chance.per_mille(600) {
            let _ = writeln!(text, "      concurrency: {}", chance.between(1, 3));
        }
        let action = *chance.pick(&["sim.quick", "sim.work", "sim.narrow", "sim.keyed"]);
        let _ = writeln!(text, "    action: {action}");
        text.push_str("    input:\n      n: <% item() %>\n      key: <% item() %>\n");
    } else {
        let action = match chance.below(14) {
            0..=2 => "sim.quick".to_owned(),
            3..=5 => "sim.work".to_owned(),
            6 => "sim.again".to_owned(),
            7 => "sim.narrow".to_owned(),
            8 => "sim.strict".to_owned(),
            9 => "sim.keyed".to_owned(),
            10 if chance.per_mille(300) => "sim.nowhere".to_owned(),
            11 if chance.per_mille(300) => "sim.needy".to_owned(),
            _ if number > 0 => format!("sim.wf{}", chance.index(number)),
            _ => "sim.quick".to_owned(),
        };
        let _ = writeln!(text, "    action: {action}");
        if action != "sim.needy" {
            let _ = writeln!(text, "    input:\n      n: {}", chance.below(5));
        }
    }
    if chance.per_mille(200) {
        let (count, delay) = (chance.between(1, 2), chance.below(3));
        let _ = writeln!(
            text,
            "    retry:\n      count: {count}\n      delay: {delay}"
        );
    }
    if chance.per_mille(80) {
        let _ = writeln!(text, "    timeout: {}", chance.between(1, 4));
    }
    if chance.per_mille(120) {
        let _ = writeln!(text, "    delay: {}", chance.between(1, 4));
    }
}
