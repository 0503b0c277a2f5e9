// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Foundation
import Testing

/// docs/faults.md, word by word.
@Suite("The document about faults")
struct FaultDocumentTests {
    private let text: String

    init() throws {
        let path = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../docs/faults.md").standardizedFileURL
        text = try String(contentsOf: path, encoding: .utf8)
    }

    @Test("Its examples are taken")
    func examples() throws {
        let examples = text.split(separator: "\n").filter { $0.hasPrefix("martlet serve '") }.map {
            String($0.dropFirst("martlet serve '".count).dropLast())
        }
        #expect(examples.count >= 2)
        for example in examples { #expect(try !LUNSpecification.parse(example).filters.isEmpty) }
    }

    @Test("Its mistakes are refused in its words")
    func mistakes() throws {
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("martlet: LUN \"") }
        #expect(lines.count >= 5)
        for line in lines {
            let sentence = String(line.dropFirst("martlet: ".count))
            let specification = String(sentence.dropFirst("LUN \"".count).prefix { $0 != "\"" })
            #expect(throws: Failure.usage(sentence)) { try LUNSpecification.parse(specification) }
        }
    }

    @Test(
        "Every option, operation and status is in it",
        arguments: ["xyzzy=1", "error=1%,on=xyzzy", "error=1%,error-status=xyzzy"])
    func complete(options: String) throws {
        // The refusal lists what there is.
        let error = #expect(throws: Failure.self) { try LUNSpecification.parse("fault:\(options)+ram/1M") }
        let sentence = try #require(error).description
        let list = try #require(sentence.split(separator: #/known here: |between them, of |write one of /#).last)
        let words = list.prefix { $0 != "(" }.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(words.count > 5, "\(sentence)")
        for word in words { #expect(text.contains("`\(word)"), "\(word)") }
    }
}
