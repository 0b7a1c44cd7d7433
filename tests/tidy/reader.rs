//! Reads one file: the names that its modules have, and every path that its code writes. Unit tests are passed over.

use super::tree::{Key, Name};
use proc_macro2::{Spacing, TokenStream, TokenTree};
use std::collections::BTreeMap;
use syn::visit::{self, Visit};

/// One name of a `use`.
#[derive(Clone)]
pub struct Use {
    pub module: Key,
    pub path: Vec<String>,
    /// `pub`, `pub(crate)`, …: for others.
    pub public: bool,
}

/// A struct, enum or trait.
pub struct Type {
    pub name: String,
    /// `pub` or `pub(crate)`: any file may name it.
    pub public: bool,
    /// Of a struct.
    pub fields: usize,
}

/// What a file says.
#[derive(Default)]
pub struct Found {
    pub names: BTreeMap<Key, BTreeMap<String, Vec<Name>>>,
    pub globs: BTreeMap<Key, Vec<Vec<String>>>,
    pub uses: Vec<Use>,
    /// Paths in code, macros and attributes, by the module in which they stand.
    pub paths: Vec<(Key, Vec<String>)>,
    pub types: Vec<Type>,
    /// What stands in an `Arc<…>`.
    pub shared: Vec<(Key, Vec<String>)>,
    /// `mod x { … }`.
    pub inner_modules: Vec<Key>,
    /// `mod x;`, and those of them that only tests have.
    pub declared: Vec<Key>,
    pub test_modules: Vec<Key>,
}

pub struct Reader {
    module: Key,
    found: Found,
}

impl Reader {
    pub fn read(module: &Key, file: &syn::File) -> Found {
        let mut reader = Self { module: module.clone(), found: Found::default() };
        reader.visit_file(file);
        reader.found
    }

    fn name(&mut self, name: String, of: Name) {
        self.found.names.entry(self.module.clone()).or_default().entry(name).or_default().push(of);
    }

    fn path(&mut self, path: Vec<String>) {
        self.found.paths.push((self.module.clone(), path));
    }

    fn add_type(&mut self, name: &syn::Ident, visibility: &syn::Visibility, fields: usize) {
        let public = match visibility {
            syn::Visibility::Public(_) => true,
            syn::Visibility::Restricted(to) => to.path.is_ident("crate"),
            syn::Visibility::Inherited => false,
        };
        self.found.types.push(Type { name: name.to_string(), public, fields });
    }

    /// `a::{self, b as c, d::*}` as paths of their own.
    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String], public: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            syn::UseTree::Path(path) => return self.use_tree(&path.tree, &with(&path.ident), public),
            syn::UseTree::Group(group) => return group.items.iter().for_each(|item| self.use_tree(item, before, public)),
            syn::UseTree::Glob(_) => {
                self.found.globs.entry(self.module.clone()).or_default().push(before.to_vec());
                (before.to_vec(), None)
            }
            syn::UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            syn::UseTree::Name(name) => (with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { before.to_vec() } else { with(&rename.ident) };
                (path, Some(rename.rename.to_string()))
            }
        };
        if let Some(name) = name.filter(|name| name != "_") {
            self.name(name, Name::Alias(path.clone()));
        }
        self.found.uses.push(Use { module: self.module.clone(), path, public });
    }

    /// The paths in a macro's tokens, which have no syntax of their own.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let colon =
            |at: usize, spacing| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == spacing);
        let is_member = |at: usize| at > 0 && matches!(&tokens[at - 1], TokenTree::Punct(p) if p.as_char() == '.');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) if !is_member(at - 1) => {
                    let mut path = vec![first.to_string()];
                    while colon(at, Spacing::Joint) && colon(at + 1, Spacing::Alone) {
                        let Some(TokenTree::Ident(next)) = tokens.get(at + 2) else { break };
                        path.push(next.to_string());
                        at += 3;
                    }
                    self.path(path);
                }
                TokenTree::Literal(literal) => self.quoted(&literal.to_string()),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }

    /// An attribute may name a function in quotes.
    fn quoted(&mut self, literal: &str) {
        let text = literal.trim_matches('"');
        let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if text.contains("::") && text.split("::").all(is_name) {
            self.path(text.split("::").map(str::to_owned).collect());
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item;
        if let Item::Mod(module) = item {
            return self.visit_item_mod(module);
        }
        let (attributes, name) = match item {
            Item::Const(i) => (&i.attrs, Some(&i.ident)),
            Item::Enum(i) => (&i.attrs, Some(&i.ident)),
            Item::Fn(i) => (&i.attrs, Some(&i.sig.ident)),
            Item::Macro(i) => (&i.attrs, i.ident.as_ref()),
            Item::Static(i) => (&i.attrs, Some(&i.ident)),
            Item::Struct(i) => (&i.attrs, Some(&i.ident)),
            Item::Trait(i) => (&i.attrs, Some(&i.ident)),
            Item::Type(i) => (&i.attrs, Some(&i.ident)),
            Item::Union(i) => (&i.attrs, Some(&i.ident)),
            Item::Impl(i) => (&i.attrs, None),
            Item::Use(i) => (&i.attrs, None),
            Item::ExternCrate(i) => (&i.attrs, None),
            Item::ForeignMod(i) => (&i.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if for_tests(attributes) {
            return;
        }
        if let Some(name) = name {
            self.name(name.to_string(), Name::Item);
        }
        match item {
            Item::Struct(i) => self.add_type(&i.ident, &i.vis, i.fields.len()),
            Item::Enum(i) => self.add_type(&i.ident, &i.vis, 0),
            Item::Trait(i) => self.add_type(&i.ident, &i.vis, 0),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let key: Key = [&self.module[..], &[module.ident.to_string()]].concat();
        if module.content.is_none() {
            self.found.declared.push(key.clone());
        }
        if for_tests(&module.attrs) {
            return self.found.test_modules.push(key);
        }
        self.name(module.ident.to_string(), Name::Module(key.clone()));
        if module.content.is_some() {
            self.found.inner_modules.push(key.clone());
            let outer = std::mem::replace(&mut self.module, key);
            visit::visit_item_mod(self, module);
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &[], !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    /// `pub(super)` is no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        if let Some(last) = path.segments.last().filter(|segment| segment.ident == "Arc")
            && let syn::PathArguments::AngleBracketed(arguments) = &last.arguments
        {
            for argument in &arguments.args {
                if let syn::GenericArgument::Type(syn::Type::Path(inner)) = argument {
                    let inner = inner.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                    self.found.shared.push((self.module.clone(), inner));
                }
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) => {
                self.visit_path(&list.path);
                self.tokens(list.tokens.clone());
            }
            // Words for people may name anything.
            meta if meta.path().is_ident("doc") => {}
            meta => visit::visit_meta(self, meta),
        }
    }
}

fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}
