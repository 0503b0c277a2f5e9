// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerConformance
import Testing

/// `martlet check` as a program.
@Suite("The check's command line")
struct CommandTests {
    @Test(
        "A wrong command line ends with status 2 and says what to do",
        arguments: [
            (["check"], "name a handler"), (["check", "ram"], "--config"),
            (["check", "ram", "--config", "ram"], "must begin with the handler's subtype"),
            (["check", "ram", "--config", "ram/64M", "--only", "nothing"], "martlet check --list"),
            (["check", "ram", "--config", "ram/64M", "--size", "many"], "--size"),
            (["check", "ram", "--config", "ram/64M", "--block-size", "513"], "use 512, 1024, 2048 or 4096"),
            (["check", "ram", "--config", "ram/64M", "--timeout", "0"], "--timeout 0"),
            (["check", "nosuch", "--config", "nosuch/64M"], "no handler of the subtype nosuch"),
            (["check", "/nowhere/handler_x.so", "--config", "x/64M"], "cannot be read"),
            (["check", "ram", "--nonsense"], "--nonsense"),
        ] as [([String], String)])
    func usage(arguments: [String], words: String) throws {
        let (status, output, errors) = try Program.run(arguments)
        #expect(status == 2)
        #expect(output.isEmpty)
        #expect(errors.contains(words) && errors.hasPrefix("martlet: "), "\(errors)")
    }

    @Test("The list names every case, and a case can be tried alone")
    func list() throws {
        let (status, output, _) = try Program.run(["check", "--list"])
        #expect(status == 0)
        let names = output.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(names.count >= 40 && Set(names).count == names.count)
        let report = try Program.check("ram", "ram/64M", size: nil, only: ["data.random", "map.same"])
        #expect(report.cases.map(\.name) == ["data.random", "map.same"])
        #expect(report.passed, "\(report)")
    }

    @Test("The report for people says what was seen and what the contract is, and the status is 1")
    func text() throws {
        let folder = try StoreFolder()
        let handler = try FaultyHandler.compile("UNMAPPED_IS_NOT_ZERO", in: folder)
        let (status, output, errors) = try Program.run([
            "check", handler, "--config", "faulty/\(folder.file("disk"))", "--size", "16M", "--quick", "--only",
            "unmap.zeroes", "--seed", "7",
        ])
        #expect(status == 1)
        #expect(errors.isEmpty, "\(errors)")
        for words in ["FAILED   unmap.zeroes", "seen:", "contract:", "docs/handlers.md", "seed 7", "FAILED: 0 passed"] {
            #expect(output.contains(words), "\(output)")
        }
    }

    @Test("The same seed gives the same findings")
    func seed() throws {
        let folder = try StoreFolder()
        let handler = try FaultyHandler.compile("READ_OFF_BY_ONE_AT_END", in: folder)
        let reports = try (0..<2).map { _ in
            try Program.check(handler, "faulty/\(folder.file("disk"))", only: ["data.edges"], seed: 42)
        }
        #expect(reports[0]["data.edges"]?.findings == reports[1]["data.edges"]?.findings)
        #expect(reports[0].seed == 42 && !reports[0].passed)
    }

    @Test("A file that is no handler is one failed case with the loader's sentence, and nothing else is tried")
    func noHandler() throws {
        let folder = try StoreFolder()
        try Data("not a library".utf8).write(to: URL(fileURLWithPath: folder.file("handler_text.so")))
        let report = try Program.check(folder.file("handler_text.so"), "text/x")
        #expect(report.failures.map(\.name) == ["load.file"])
        #expect(report["load.file"]?.findings.first?.seen.contains("is not an ELF file") == true, "\(report)")
        #expect(report.cases.dropFirst().allSatisfy { $0.result == .skipped })
    }

    @Test("A subtype that the handler does not have is told")
    func otherSubtype() throws {
        let report = try Program.check("ram", "mar/64M", size: nil)
        #expect(report["load.file"]?.findings.first?.seen.contains("begins with mar/") == true, "\(report)")
    }
}

/// The rules that findings name.
@Suite("The rules of the check")
struct RuleTests {
    @Test("Every place that a rule names is a heading of a document")
    func places() throws {
        let source = Program.root.appendingPathComponent("Sources/HandlerCheck/ContractRule.swift")
        let text = try String(contentsOf: source, encoding: .utf8)
        let places = text.matches(of: /"(docs\/[a-z-]+\.md)#([a-z0-9_-]+)"/)
        #expect(places.count >= 8)
        for place in places {
            let document = try String(contentsOf: Program.root.appendingPathComponent(String(place.1)), encoding: .utf8)
            let anchors = document.split(separator: "\n").filter { $0.hasPrefix("#") }.map { heading in
                heading.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                    .filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" || $0 == "_" }
                    .replacing(" ", with: "-")
            }
            #expect(anchors.contains(String(place.2)), "\(place.0)")
        }
    }

    @Test("The document describes every case that is there")
    func cases() throws {
        let document = try String(
            contentsOf: Program.root.appendingPathComponent("docs/conformance-kit.md"), encoding: .utf8)
        let (_, output, _) = try Program.run(["check", "--list"])
        for line in output.split(separator: "\n") {
            let name = line.prefix { $0 != " " }
            #expect(document.contains("`\(name)`"), "docs/conformance-kit.md does not mention \(name)")
        }
    }
}
