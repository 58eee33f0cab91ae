//! What a source file names: the paths of its imports and of its code, macros, methods and texts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprMethodCall, Item, ItemMod, ItemUse, LitStr, Macro, Meta, UseTree};

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path, `super` resolved: `crate::health::Code`, `std::fs::File`.
    Path,
    /// A macro that is called, by its last name.
    Macro,
    /// A method that is called.
    Method,
    /// A text.
    Text,
}

/// One thing that a file names.
#[derive(Debug)]
pub struct Named {
    pub kind: Kind,
    pub name: String,
    pub line: usize,
    /// By a `use`.
    pub imported: bool,
    /// Of a method: what made its first argument, if that is a text written there or the result of a function.
    pub given: Option<String>,
    /// In a `#[cfg(test)]` module.
    pub in_test: bool,
}

impl Named {
    /// Whether a path is this one or goes through it: by its beginning if that is given from its root
    /// (`crate::`, `std::`), by any part of it otherwise.
    pub fn goes_through(&self, path: &str) -> bool {
        if self.kind != Kind::Path {
            return false;
        }
        let parts = || self.name.split("::");
        let wanted: Vec<_> = path.split("::").collect();
        if wanted.len() == 1 {
            return parts().any(|part| part == path);
        }
        parts().take(wanted.len()).eq(wanted)
    }
}

/// A source file, by its path below `src`.
pub struct Source {
    pub file: PathBuf,
    pub named: Vec<Named>,
}

impl Source {
    pub fn is_in(&self, folder: &str) -> bool {
        self.file.starts_with(folder)
    }

    /// Where something is named, for a message.
    pub fn at(&self, named: &Named) -> String {
        format!("{}:{}", self.file.display(), named.line)
    }
}

/// All source files, or those below a folder, or one.
pub fn sources(below: &str) -> Vec<&'static Source> {
    static ALL: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    let found: Vec<_> = ALL
        .iter()
        .filter(|source| below.is_empty() || source.is_in(below))
        .collect();
    assert!(!found.is_empty(), "nothing in {below}: was it moved?");
    found
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut left = vec![root.clone()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(&root).unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            found.push(read(file, &text));
        }
    }
    found
}

/// What the text of a file names.
pub fn read(file: PathBuf, text: &str) -> Source {
    let mut reader = Reader {
        module: module_of(&file),
        tests: 0,
        named: Vec::new(),
    };
    reader.visit_file(&syn::parse_file(text).unwrap());
    Source {
        file,
        named: reader.named,
    }
}

fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<_> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts.insert(0, "crate".to_owned());
    parts
}

struct Reader {
    module: Vec<String>,
    tests: usize,
    named: Vec<Named>,
}

impl Reader {
    fn add(&mut self, kind: Kind, name: String, span: Span) {
        let (line, in_test) = (span.start().line, self.tests > 0);
        self.named.push(Named {
            kind,
            name,
            line,
            imported: false,
            given: None,
            in_test,
        });
    }

    fn add_path(&mut self, parts: &[String], span: Span) {
        let name = self.resolved(parts).join("::");
        self.add(Kind::Path, name, span);
    }

    fn add_import(&mut self, parts: &[String], span: Span) {
        self.add_path(parts, span);
        self.named.last_mut().unwrap().imported = true;
    }

    fn resolved(&self, parts: &[String]) -> Vec<String> {
        let mut parts = parts;
        let mut module = self.module.clone();
        match parts.first().map(String::as_str) {
            Some("self") => parts = &parts[1..],
            Some("super") => {}
            _ => return parts.to_vec(),
        }
        while let Some("super") = parts.first().map(String::as_str) {
            module.pop();
            parts = &parts[1..];
        }
        module.extend_from_slice(parts);
        module
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.add_import(&with(&name.ident), name.span()),
            UseTree::Rename(rename) => self.add_import(&with(&rename.ident), rename.span()),
            UseTree::Glob(glob) => self.add_import(before, glob.span()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
        }
    }

    /// What a macro is given is no syntax yet.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is = |at: usize, wanted: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted);
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<LitStr>(&literal.to_string()) {
                        self.add(Kind::Text, text.value(), literal.span());
                    }
                }
                TokenTree::Ident(ident) => {
                    let follows_dot = at > 0 && is(at - 1, '.');
                    let mut parts = vec![ident.to_string()];
                    while is(at + 1, ':') && is(at + 2, ':') {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else {
                            break;
                        };
                        parts.push(next.to_string());
                        at += 3;
                    }
                    if is(at + 1, '!') && !is(at + 2, '=') {
                        self.add(Kind::Macro, parts.pop().unwrap(), ident.span());
                    } else if follows_dot {
                        self.add(Kind::Method, parts.remove(0), ident.span());
                    } else {
                        self.add_path(&parts, ident.span());
                    }
                }
                TokenTree::Punct(_) => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        // Uses and the like of a test stand in its module as a rule; a single item may be one as well.
        let is_test = attributes(item).iter().any(is_cfg_test);
        self.tests += usize::from(is_test);
        visit::visit_item(self, item);
        self.tests -= usize::from(is_test);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.add_path(&parts, path.span());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let name = &called.path.segments.last().unwrap().ident;
        self.add(Kind::Macro, name.to_string(), name.span());
        self.add_tokens(called.tokens.clone());
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.add(Kind::Method, call.method.to_string(), call.method.span());
        self.named.last_mut().unwrap().given = call.args.first().and_then(made_by);
        // To ask an output whether it is a terminal is not to write to it.
        if call.method != "is_terminal" {
            visit::visit_expr_method_call(self, call);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.add(Kind::Text, text.value(), text.span());
    }

    /// Documentation names what it likes.
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }
}

/// The function that an expression is the result of, whatever became of that; of a text the empty name.
fn made_by(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(_) => Some(String::new()),
        Expr::MethodCall(call) => made_by(&call.receiver),
        Expr::Reference(reference) => made_by(&reference.expr),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    let names = |tokens: &TokenStream| {
        tokens
            .to_string()
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "test")
    };
    list.path.is_ident("cfg") && names(&list.tokens)
}
