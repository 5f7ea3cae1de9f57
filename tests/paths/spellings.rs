//! Hostile spellings of a path, by class: what is put into a segment, between two, before and
//! after all, and in place of a slash.

/// What a segment is turned into.
fn segments(plain: &str) -> Vec<String> {
    let encode = |text: &str, upper: bool| -> String {
        text.bytes().map(|b| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") }).collect()
    };
    let (first, rest) = plain.split_at(plain.chars().next().map_or(0, char::len_utf8));
    let mut all = vec![
        encode(plain, true),
        encode(plain, false),
        format!("{}{rest}", encode(first, true)),
        format!("{}{rest}", encode(first, true).replace('%', "%25")),
        format!("%u00{:02x}{rest}", first.bytes().next().unwrap_or(0)),
        format!("%C1%{:02X}{rest}", first.bytes().next().unwrap_or(0) | 0x80),
        format!("%EF%BD%81{rest}"),
        plain.to_ascii_uppercase(),
        String::new(),
    ];
    for tail in [
        ";",
        ";a=b",
        ";a=b,c",
        "%3B",
        "%3ba",
        "%253b",
        "\\",
        "%5c",
        "%5C",
        "%255c",
        "%2f",
        "%2F",
        "%252F",
        "%2fx",
        "/",
        ".",
        "..",
        "%2e",
        "%20",
        "+",
        " ",
        "%09",
        "%0a",
        "%0d%0a",
        "%00",
        "%7f",
        "%C2%85",
        "%E2%80%A8",
        "%ff",
        "%",
        "%2",
        "%zz",
        ".json",
        "~",
        "*",
        "%3F",
        "?",
        "%23",
        "#",
        "!",
        "@",
        ":",
        "'",
        "%27",
        "%22",
        "%3C",
        "<",
        "|",
        "^",
        "`",
        "{",
        "\"",
        "[",
        "é",
        "%C3%A9",
        "%25",
        "%2525",
        "&",
        "=",
        ",",
        "$",
        "(",
        ")",
        "%80",
    ] {
        all.push(format!("{plain}{tail}"));
        all.push(format!("{tail}{plain}"));
    }
    all
}

/// What stands between two segments, or before and after all, slashes included.
const BETWEEN: [&str; 33] = [
    "//",
    "///",
    "/./",
    "/../",
    "/x/../",
    "/x/./../",
    "/%2e/",
    "/%2E%2e/",
    "/.%2e/",
    "/x/%2e%2e/",
    "/x/.%2E/",
    "/..;/",
    "/x/..;a=b/",
    "/;/",
    "/;a/",
    "/.;/",
    "/x/%2e%2e;a/",
    "/x/%2E.;/",
    "/x/..%3ba/",
    "/x%2f../",
    "/x%2F..%2F",
    "/..%2f",
    "/x/..%5c",
    "\\",
    "/\\",
    "\\/",
    "%5c",
    "%2f",
    "%2F",
    "%252f",
    "/...",
    "/%20/",
    "/%00/",
];

const BEFORE: [&str; 10] = ["http://host", "//host", "/", "\\", "", " ", "/x/..", "/%2e", "https://host", "/host/../"];
const AFTER: [&str; 18] = [
    "/",
    "//",
    "/.",
    "/..",
    "/%2e",
    "/%2E%2E",
    "/x/..",
    "/x/%2e%2e",
    "%00",
    "?",
    "?x=/../",
    "#",
    ";",
    "/;",
    "/..;/",
    "%20",
    "/*",
    "\\",
];

/// All spellings of a path that differ from it in one place.
pub fn of(path: &str) -> Vec<String> {
    let plain: Vec<&str> = path.split('/').skip(1).collect();
    let join = |segments: &[&str]| format!("/{}", segments.join("/"));
    let mut all = vec![path.to_owned()];
    for (number, segment) in plain.iter().enumerate() {
        for other in self::segments(segment) {
            let mut changed = plain.clone();
            changed[number] = &other;
            all.push(join(&changed));
        }
        for between in BETWEEN {
            let (head, tail) = plain.split_at(number);
            let head = if head.is_empty() { String::new() } else { join(head) };
            all.push(format!("{head}{between}{}", tail.join("/")));
        }
    }
    let bare = path.strip_prefix('/').unwrap_or(path);
    all.extend(BEFORE.map(|before| format!("{before}{path}")));
    all.extend(["", " ", "\\"].map(|before| format!("{before}{bare}")));
    all.extend(AFTER.map(|after| format!("{path}{after}")));
    all
}

/// Choices that are the same in every run: a small linear congruential generator.
pub struct Choices(pub u64);

impl Choices {
    /// A number below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    /// A spelling of a path that differs from it in two places.
    pub fn twice(&mut self, path: &str) -> String {
        let once = of(path);
        let mut twice = of(&once[self.below(once.len())]);
        twice.swap_remove(self.below(twice.len()))
    }
}
