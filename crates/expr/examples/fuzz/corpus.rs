//! Texts to start from, and what is done to them.

use std::path::Path;

/// Random numbers from a seed (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap_or(0)
    }

    pub(crate) fn pick<'a>(&mut self, texts: &'a [String]) -> &'a str {
        match texts.len() {
            0 => "",
            count => &texts[self.below(count)],
        }
    }

    pub(crate) fn text(&mut self, pieces: &[&str]) -> String {
        let length = 1 + self.below(16);
        (0..length)
            .map(|_| pieces[self.below(pieces.len())])
            .collect()
    }

    /// A text from the corpus with a few changes, or one of pieces.
    pub(crate) fn input(&mut self, corpus: &[String], pieces: &[&str]) -> String {
        if corpus.is_empty() || self.below(4) == 0 {
            return self.text(pieces);
        }
        let mut text = self.pick(corpus).to_owned();
        for _ in 0..=self.below(4) {
            text = self.changed(&text, corpus, pieces);
        }
        text
    }

    /// A position between two characters.
    fn place(&mut self, text: &str) -> usize {
        let at = self.below(text.len() + 1);
        (0..=at)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0)
    }

    fn changed(&mut self, text: &str, corpus: &[String], pieces: &[&str]) -> String {
        let (a, b) = (self.place(text), self.place(text));
        let (a, b) = (a.min(b), a.max(b));
        let (head, middle, tail) = (&text[..a], &text[a..b], &text[b..]);
        match self.below(8) {
            0 => format!("{head}{tail}"),
            1 if text.len() < 4096 => format!("{head}{middle}{middle}{tail}"),
            2 => format!("{head}{}{middle}{tail}", pieces[self.below(pieces.len())]),
            3 => format!("{head}{}{tail}", pieces[self.below(pieces.len())]),
            4 => {
                let other = self.pick(corpus);
                let other = &other[..self.place(other)];
                format!("{head}{other}{tail}")
            }
            5 => {
                let numbers = ["0", "-1", "9223372036854775808", "1e308", "65536", ""];
                let number = numbers[self.below(numbers.len())];
                text.chars()
                    .map(|c| match c.is_ascii_digit() && self.below(3) == 0 {
                        true => number.to_owned(),
                        false => c.to_string(),
                    })
                    .collect()
            }
            6 => {
                let piece = pieces[self.below(pieces.len())];
                let count = 1 << self.below(12);
                format!("{head}{}{tail}", piece.repeat(count))
            }
            _ => {
                let c = char::from_u32(u32::try_from(self.below(0x3000)).unwrap_or(0));
                format!("{head}{}{tail}", c.unwrap_or('\u{fffd}'))
            }
        }
    }
}

/// The texts that tests of the crates are made of.
#[derive(Default)]
pub(crate) struct Corpus {
    pub(crate) templates: Vec<String>,
    pub(crate) expressions: Vec<String>,
    pub(crate) yaml: Vec<String>,
    pub(crate) criteria: Vec<String>,
    pub(crate) schemas: Vec<String>,
}

impl Corpus {
    /// Reads what is there; a file that is not there leaves its part empty.
    pub(crate) fn read() -> Corpus {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let lines = |path: &str| -> Vec<String> {
            let text = std::fs::read_to_string(crates.join(path)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        let mut corpus = Corpus::default();
        for name in ["jinja", "templates", "functions", "limits"] {
            for line in lines(&format!("expr/tests/data/{name}.txt")) {
                let text = line.split(" => ").next().unwrap_or_default();
                corpus.templates.push(text.to_owned());
            }
        }
        let expressions = lines("yaql/tests/data/expressions.txt");
        let is_expression = |line: &String| !line.starts_with([' ', '#']) && !line.is_empty();
        corpus.expressions = expressions.into_iter().filter(is_expression).collect();
        for line in lines("rules/tests/data/operators.jsonl") {
            let line = line.trim_start_matches('[').to_owned();
            corpus.criteria.push(line);
        }
        corpus
            .criteria
            .extend(lines("rules/tests/data/paths.jsonl"));
        corpus.schemas = lines("schema/tests/data/validation.jsonl");
        corpus
            .schemas
            .extend(lines("schema/tests/data/casts.jsonl"));
        yaml_files(&crates.join("../packs"), &mut corpus.yaml);
        corpus.yaml.extend(corpus.schemas.iter().cloned());
        corpus
    }
}

fn yaml_files(directory: &Path, texts: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            yaml_files(&path, texts);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            texts.extend(std::fs::read_to_string(&path));
        }
    }
}
