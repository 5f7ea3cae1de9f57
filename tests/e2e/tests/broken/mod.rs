//! Copies of the module, broken on purpose: the shipped one needs no code for tests.
#![allow(dead_code, reason = "each test file uses a part of it")]

use portcullis_e2e::workspace;
use tempfile::{NamedTempFile, TempPath};
use walrus::ir::{BinaryOp, Value};
use walrus::{ConstExpr, FunctionId, GlobalId, ImportKind, InstrSeqBuilder, LocalId, Module, ValType};

/// What a function of the host answers that fails: `InternalFailure`.
const FAILURE: i32 = 10;

/// A copy of the module.
pub struct Copy(Module);

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    False,
    Trap,
}

impl Copy {
    pub fn new() -> Self {
        Self(Module::from_file(workspace().join("target/portcullis.wasm")).expect("the module: run `make wasm`"))
    }

    /// What it asks of its host.
    pub fn imports(&self) -> Vec<String> {
        self.0.imports.iter().map(|import| import.name.clone()).collect()
    }

    /// What its host calls.
    pub fn callbacks(&self) -> Vec<String> {
        let names = self.0.exports.iter().map(|export| export.name.clone());
        names.filter(|name| name.starts_with("proxy_on_") && name != "proxy_on_memory_allocate").collect()
    }

    /// Makes that callback end the VM.
    pub fn trapping(mut self, callback: &str) -> Self {
        let original = self.callback(callback);
        let replaced = self.0.replace_exported_func(original, |(body, _)| {
            body.unreachable();
        });
        replaced.expect("replaced");
        self
    }

    /// Makes every function of the host whose name has that part end the VM: whoever works with this
    /// module has called none of them.
    pub fn trapping_at(mut self, part: &str) -> Self {
        let functions: Vec<FunctionId> = self
            .0
            .imports
            .iter()
            .filter(|import| import.name.contains(part))
            .filter_map(|import| match import.kind {
                ImportKind::Function(id) => Some(id),
                _ => None,
            })
            .collect();
        assert!(!functions.is_empty(), "no function of the host is called *{part}*");
        for function in functions {
            let replaced = self.0.replace_imported_func(function, |(body, _)| {
                body.unreachable();
            });
            replaced.expect("replaced");
        }
        self
    }

    /// Makes the `nth` call of `proxy_on_configure` in a VM end like that. A canary is a VM of its
    /// own: of a second configuration with the same code, it sees the first call, workers the second.
    pub fn configured_badly(mut self, nth: i32, answer: Answer) -> Self {
        let calls = self.global();
        let original = self.callback("proxy_on_configure");
        let replaced = self.0.replace_exported_func(original, |(body, arguments)| {
            body.global_get(calls).i32_const(1).binop(BinaryOp::I32Add).global_set(calls);
            body.global_get(calls).i32_const(nth).binop(BinaryOp::I32Eq);
            let bad = |then: &mut InstrSeqBuilder| {
                match answer {
                    Answer::False => then.i32_const(0),
                    Answer::Trap => then.unreachable(),
                };
            };
            body.if_else(ValType::I32, bad, |otherwise| pass_on(otherwise, original, arguments));
        });
        replaced.expect("replaced");
        self
    }

    /// Makes one function of the host fail from a VM's first request on: in that VM the one whose
    /// number among [`Copy::imports`] is the length of the VM's configuration.
    pub fn abandoned_after_configuration(mut self) -> Self {
        let (chosen, begun) = (self.global(), self.global());
        self.before("proxy_on_vm_start", |body, arguments| {
            body.local_get(arguments[1]).global_set(chosen);
        });
        self.before("proxy_on_request_headers", |body, _| {
            body.i32_const(1).global_set(begun);
        });
        let functions = self.0.imports.iter().filter_map(|import| match import.kind {
            ImportKind::Function(id) => Some((import.module.clone(), import.name.clone(), id)),
            _ => None,
        });
        for (number, (module, name, wrapper)) in functions.collect::<Vec<_>>().into_iter().enumerate() {
            let kind = self.0.funcs.get(wrapper).ty();
            if self.0.types.results(kind) != [ValType::I32] {
                continue; // `proc_exit`
            }
            let number = i32::try_from(number).expect("a number");
            let (original, _) = self.0.add_import_func(&module, &name, kind);
            let replaced = self.0.replace_imported_func(wrapper, |(body, arguments)| {
                body.global_get(begun).global_get(chosen).i32_const(number).binop(BinaryOp::I32Eq);
                let fail = |then: &mut InstrSeqBuilder| {
                    then.i32_const(FAILURE);
                };
                body.binop(BinaryOp::I32And);
                body.if_else(ValType::I32, fail, |otherwise| pass_on(otherwise, original, arguments));
            });
            replaced.expect("replaced");
        }
        self
    }

    /// Writes it to a file of its own.
    pub fn save(mut self) -> TempPath {
        let file = NamedTempFile::with_suffix(".wasm").expect("a file");
        self.0.emit_wasm_file(file.path()).expect("written");
        file.into_temp_path()
    }

    /// Puts something before a callback.
    fn before(&mut self, callback: &str, something: impl FnOnce(&mut InstrSeqBuilder, &[LocalId])) {
        let original = self.callback(callback);
        let replaced = self.0.replace_exported_func(original, |(body, arguments)| {
            something(body, arguments);
            pass_on(body, original, arguments);
        });
        replaced.expect("replaced");
    }

    fn callback(&self, name: &str) -> FunctionId {
        self.0.exports.get_func(name).expect("a callback")
    }

    fn global(&mut self) -> GlobalId {
        self.0.globals.add_local(ValType::I32, true, false, ConstExpr::Value(Value::I32(0)))
    }
}

/// Calls what is replaced.
fn pass_on(body: &mut InstrSeqBuilder, original: FunctionId, arguments: &[LocalId]) {
    for argument in arguments {
        body.local_get(*argument);
    }
    body.call(original);
}
