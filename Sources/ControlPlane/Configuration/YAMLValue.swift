// SPDX-License-Identifier: Apache-2.0

internal import Yams

/// A value in a configuration file with its place, and the ways to look at it. Whatever it is not is an error that
/// names the line.
struct YAMLValue {
    let node: Node
    let file: String
    /// What it is called in the file, for sentences: "size", "devices.disk0".
    let path: String
    /// The line of its key, for a value with an inside of its own; of itself otherwise.
    let line: Int

    init(node: Node, file: String, path: String, keyLine: Int? = nil) {
        self.node = node
        self.file = file
        self.path = path
        let ownLine = node.mark?.line ?? keyLine ?? 1
        if case .scalar = node { line = ownLine } else { line = keyLine ?? ownLine }
    }

    /// "martlet.yaml:7".
    var place: String { "\(file):\(line)" }

    func failure(_ sentence: String) -> Failure { .usage("\(place): \(sentence)") }

    var isMapping: Bool { if case .mapping = node { true } else { false } }
    var isList: Bool { if case .sequence = node { true } else { false } }

    func text() throws(Failure) -> String {
        guard case .scalar(let scalar) = node else { throw failure("\(path) must be a single value") }
        guard !scalar.string.isEmpty else { throw failure("\(path) has no value") }
        return scalar.string
    }

    func list() throws(Failure) -> [YAMLValue] {
        guard case .sequence(let sequence) = node else {
            throw failure("\(path) must be a list, each entry with a dash before it")
        }
        return sequence.enumerated().map { YAMLValue(node: $1, file: file, path: "\(path)[\($0)]") }
    }

    /// Keys and values in the order of the file.
    func entries() throws(Failure) -> [(key: YAMLValue, name: String, value: YAMLValue)] {
        guard case .mapping(let mapping) = node else {
            throw failure("\(path) must be a mapping: keys, each with a colon and a value")
        }
        var entries: [(key: YAMLValue, name: String, value: YAMLValue)] = []
        var seen: Set<String> = []
        for (key, value) in mapping {
            let keyValue = YAMLValue(node: key, file: file, path: "a key of \(path)")
            let name = try keyValue.text()
            // Yams finds equal keys; these are the ones that differ in nothing but quotes.
            guard seen.insert(name).inserted else { throw keyValue.failure("\(path) has the key \"\(name)\" twice") }
            let child = YAMLValue(node: value, file: file, path: child(name), keyLine: keyValue.line)
            entries.append((keyValue, name, child))
        }
        return entries
    }

    /// The same for a mapping whose keys are known: any other is an error with the nearest that is.
    func entries(known: [String]) throws(Failure) -> [String: YAMLValue] {
        var result: [String: YAMLValue] = [:]
        for (key, name, value) in try entries() {
            guard known.contains(name) else {
                throw key.failure(
                    "unknown key \"\(name)\"\(path.isEmpty ? "" : " in \(path)"): "
                        + NearestKey.advice(name, among: known))
            }
            result[name] = value
        }
        return result
    }

    private func child(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}

extension YAMLValue {
    /// The one document of a file.
    static func document(_ text: String, file: String) throws(Failure) -> YAMLValue? {
        do {
            let root = try Parser(yaml: text, encoding: .utf8).singleRoot()
            return root.map { YAMLValue(node: $0, file: file, path: "") }
        } catch let error as YamlError {
            throw explain(error, file: file)
        } catch {
            throw .usage("\(file): \(error)")
        }
    }

    private static func explain(_ error: YamlError, file: String) -> Failure {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            .usage("\(file):\(mark.line): not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            .usage("\(file):\(context.mark.line): the key \"\(duplicates.first ?? "")\" stands twice in one mapping")
        case .reader(let problem, let offset, _, let yaml):
            .usage("\(file):\(line(of: offset, in: yaml)): not YAML: \(problem)")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            .usage("\(file): \(error)")
        }
    }

    private static func line(of offset: Int?, in text: String) -> Int {
        text.prefix(offset ?? 0).count { $0.isNewline } + 1
    }
}

extension YAMLValue {
    /// A switch, in YAML's own words.
    func truth() throws(Failure) -> Bool {
        let text = try text()
        switch text {
        case "yes", "on", "true": return true
        case "no", "off", "false": return false
        default: throw failure("\(path) cannot be \"\(text)\": write yes or no")
        }
    }
}
