//! Random types and values from a seed.

use wasmtime::component::Val;
use wasmtime::component::types::Type;

/// splitmix64
pub struct Seed(pub u64);

impl Seed {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Generates WIT types; `declared` holds the declarations of named ones.
#[derive(Default)]
pub struct Types {
    pub declared: String,
    count: usize,
}

impl Types {
    /// The body of an interface of a few functions with random signatures.
    pub fn interface(seed: &mut Seed, functions: usize) -> String {
        let mut types = Self::default();
        let mut text = String::new();
        for i in 0..functions {
            let params: Vec<String> =
                (0..seed.below(5)).map(|p| format!("p{p}: {}", types.arbitrary(seed, 3))).collect();
            let result = if seed.below(6) == 0 { String::new() } else { format!(" -> {}", types.arbitrary(seed, 3)) };
            text += &format!("f{i}: func({}){result};\n", params.join(", "));
        }
        types.declared + &text
    }

    pub fn arbitrary(&mut self, seed: &mut Seed, depth: usize) -> String {
        const SCALARS: [&str; 13] =
            ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"];
        if depth == 0 || seed.below(4) == 0 {
            return seed.pick(&SCALARS).to_owned();
        }
        let mut inner = |seed: &mut Seed| self.arbitrary(seed, depth - 1);
        match seed.below(9) {
            0 | 1 => format!("list<{}>", inner(seed)),
            2 => format!("option<{}>", inner(seed)),
            3 => match seed.below(4) {
                0 => "result".to_owned(),
                1 => format!("result<{}>", inner(seed)),
                2 => format!("result<_, {}>", inner(seed)),
                _ => format!("result<{}, {}>", inner(seed), inner(seed)),
            },
            4 => {
                let types: Vec<String> = (0..1 + seed.below(5)).map(|_| inner(seed)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            5 => {
                let fields: Vec<String> = (0..1 + seed.below(6)).map(|i| format!("f{i}: {}", inner(seed))).collect();
                self.declare("record", &fields)
            }
            6 => {
                let cases = (0..1 + seed.below(5))
                    .map(|i| if seed.below(4) == 0 { format!("c{i}") } else { format!("c{i}({})", inner(seed)) });
                let cases: Vec<String> = cases.collect();
                self.declare("variant", &cases)
            }
            7 => {
                let count = seed.pick(&[1, 3, 7, 300]);
                let names: Vec<String> = (0..count).map(|i| format!("e{i}")).collect();
                self.declare("enum", &names)
            }
            _ => {
                let count = seed.pick(&[1, 7, 8, 9, 16, 17, 31, 32]);
                let names: Vec<String> = (0..count).map(|i| format!("b{i}")).collect();
                self.declare("flags", &names)
            }
        }
    }

    fn declare(&mut self, kind: &str, members: &[String]) -> String {
        self.count += 1;
        let name = format!("t{}", self.count);
        self.declared += &format!("{kind} {name} {{ {} }}\n", members.join(", "));
        name
    }
}

pub fn value(ty: &Type, seed: &mut Seed) -> Val {
    let n = seed.next();
    match ty {
        Type::Bool => Val::Bool(n & 1 == 1),
        Type::S8 => Val::S8(n as i8),
        Type::U8 => Val::U8(n as u8),
        Type::S16 => Val::S16(n as i16),
        Type::U16 => Val::U16(n as u16),
        Type::S32 => Val::S32(n as i32),
        Type::U32 => Val::U32(n as u32),
        Type::S64 => Val::S64(n as i64),
        Type::U64 => Val::U64(n),
        Type::Float32 => Val::Float32(f32::from_bits(n as u32)),
        Type::Float64 => Val::Float64(f64::from_bits(n)),
        Type::Char => Val::Char(character(seed)),
        Type::String => Val::String((0..seed.below(12)).map(|_| character(seed)).collect()),
        Type::List(list) => Val::List((0..seed.below(5)).map(|_| value(&list.ty(), seed)).collect()),
        Type::Record(record) => {
            Val::Record(record.fields().map(|field| (field.name.to_owned(), value(&field.ty, seed))).collect())
        }
        Type::Tuple(tuple) => Val::Tuple(tuple.types().map(|ty| value(&ty, seed)).collect()),
        Type::Variant(variant) => {
            let case = variant.cases().nth(seed.below(variant.cases().count())).unwrap();
            Val::Variant(case.name.to_owned(), case.ty.map(|ty| Box::new(value(&ty, seed))))
        }
        Type::Enum(cases) => Val::Enum(cases.names().nth(seed.below(cases.names().count())).unwrap().to_owned()),
        Type::Option(option) => Val::Option((n & 1 == 1).then(|| Box::new(value(&option.ty(), seed)))),
        Type::Result(result) => {
            let mut payload = |ty: Option<Type>| ty.map(|ty| Box::new(value(&ty, seed)));
            Val::Result(if n & 1 == 1 { Ok(payload(result.ok())) } else { Err(payload(result.err())) })
        }
        Type::Flags(flags) => {
            Val::Flags(flags.names().filter(|_| seed.below(2) == 1).map(str::to_owned).collect::<Vec<_>>())
        }
        other => panic!("{other:?} is not a plain value"),
    }
}

fn character(seed: &mut Seed) -> char {
    let ranges = [(0x20, 0x7E), (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0xD7FF), (0xE000, 0xFFFF), (0x1_0000, 0x10_FFFF)];
    let (low, high) = seed.pick(&ranges);
    char::from_u32(low + seed.below((high - low + 1) as usize) as u32).unwrap()
}
