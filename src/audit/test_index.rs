//! The tests of a suite.

use std::collections::HashMap;

use crate::wire::file_of;

/// A test, by its position in the suite.
pub type TestId = usize;
/// A test file, by its position in the suite.
pub type FileId = usize;

/// The live tests of a suite, in its order.
#[derive(Debug, Clone, Default)]
pub struct TestIndex {
    tests: Vec<String>,
    files: Vec<(String, Vec<TestId>)>,
    file_of: Vec<FileId>,
    by_name: HashMap<String, TestId>,
}

impl TestIndex {
    /// Makes an index from node ids.
    #[must_use]
    pub fn new(tests: Vec<String>) -> Self {
        let mut test_index = Self::default();
        let mut by_file = HashMap::new();
        for (id, test) in tests.iter().enumerate() {
            let name = file_of(test);
            let file = *by_file.entry(name.to_owned()).or_insert_with(|| {
                test_index.files.push((name.to_owned(), Vec::new()));
                test_index.files.len() - 1
            });
            test_index.files[file].1.push(id);
            test_index.file_of.push(file);
            test_index.by_name.insert(test.clone(), id);
        }
        test_index.tests = tests;
        test_index
    }

    /// All node ids, in the suite's order.
    #[must_use]
    pub fn tests(&self) -> &[String] {
        &self.tests
    }

    /// How many files there are.
    #[must_use]
    pub const fn file_count(&self) -> usize {
        self.files.len()
    }

    /// A test's node id.
    #[must_use]
    pub fn test(&self, id: TestId) -> &str {
        self.tests.get(id).map_or("", String::as_str)
    }

    /// The file of a test.
    #[must_use]
    pub fn file_of(&self, test: TestId) -> FileId {
        self.file_of[test]
    }

    /// A file's name.
    #[must_use]
    pub fn file(&self, id: FileId) -> &str {
        self.files.get(id).map_or("", |(name, _)| name.as_str())
    }

    /// The tests of a file.
    #[must_use]
    pub fn tests_of(&self, file: FileId) -> &[TestId] {
        self.files.get(file).map_or(&[], |(_, tests)| tests.as_slice())
    }

    /// The test with this node id.
    #[must_use]
    pub fn find(&self, test: &str) -> Option<TestId> {
        self.by_name.get(test).copied()
    }

    /// The file with this name.
    #[must_use]
    pub fn find_file(&self, name: &str) -> Option<FileId> {
        self.files.iter().position(|(known, _)| known == name)
    }
}
