// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The house of docs/ARCHITECTURE.md, checked import by import. Declared dependencies alone do not keep a module out.
@Suite("Layers")
struct LayerTests {
    struct Layer: CustomTestStringConvertible {
        let folder: String
        let mayImport: Set<String>

        var testDescription: String { folder }
    }

    /// What asks the operating system for something. Foundation does, too.
    static let system: Set<String> = ["Glibc", "Foundation", "Dispatch"]

    static let layers = [
        Layer(folder: "Sources/SCSI", mayImport: []),
        Layer(folder: "Sources/ISCSI", mayImport: ["SCSI", "CDigest"]),
        Layer(folder: "Sources/ISNS", mayImport: []),
        Layer(folder: "Sources/TargetCore", mayImport: ["SCSI", "Synchronization"]),
        Layer(folder: "Sources/EventLoop", mayImport: ["CLinux", "Glibc", "Synchronization"]),
        Layer(folder: "Sources/HandlerKit", mayImport: ["HandlerABI", "Glibc", "Synchronization"]),
        Layer(
            folder: "Sources/HandlerHost",
            mayImport: [
                "HandlerABI", "CHandlerHost", "CLinux", "TargetCore", "SCSI", "Glibc", "Synchronization",
            ]),
        Layer(
            folder: "Sources/Transport",
            mayImport: ["EventLoop", "CLinux", "ISCSI", "SCSI", "TargetCore", "Glibc", "Synchronization"]),
        Layer(
            folder: "Sources/ControlPlane",
            mayImport: system.union([
                "Transport", "HandlerHost", "EventLoop", "ISCSI", "ISNS", "TargetCore", "SCSI", "CLinux", "CCrypto",
                "Synchronization", "Logging", "Yams", "FlyingFox", "FlyingSocks", "Histogram",
            ])),
        Layer(
            folder: "Sources/LoadGenerator",
            mayImport: ["EventLoop", "CLinux", "ISCSI", "SCSI", "Synchronization", "Histogram"]),
        Layer(
            folder: "Sources/HandlerCheck",
            mayImport: [
                "HandlerHost", "CHandlerHost", "CHandlerCheck", "HandlerABI", "CLinux", "TargetCore", "Synchronization",
            ]),
        Layer(folder: "Sources/HandlerConformance", mayImport: ["Foundation"]),
        Layer(
            folder: "Sources/martlet",
            mayImport: ["ControlPlane", "LoadGenerator", "HandlerCheck", "ArgumentParser", "Glibc"]),
        Layer(folder: "Plugins/file", mayImport: ["HandlerABI", "HandlerKit", "Glibc", "Synchronization"]),
    ]

    @Test("A layer imports what stands below it, and nothing else", arguments: layers)
    func imports(of layer: Layer) {
        let files = SourceTree.files.filter { $0.path.hasPrefix(layer.folder + "/") && $0.has(extension: "swift") }
        #expect(!files.isEmpty, "\(layer.folder) has no Swift file")
        for file in files {
            for module in Self.imports(in: file.text) where !layer.mayImport.contains(module) {
                Issue.record("\(file) imports \(module), which \(layer.folder) may not know of")
            }
        }
    }

    @Test("Every Swift folder is a layer with rules")
    func everyFolderIsListed() {
        let known = Set(Self.layers.map(\.folder))
        for file in SourceTree.files where file.has(extension: "swift") {
            let parts = file.path.split(separator: "/")
            guard parts.count > 2, parts[0] == "Sources" || parts[0] == "Plugins" else { continue }
            #expect(known.contains("\(parts[0])/\(parts[1])"), "\(file) is in no layer of this table")
        }
    }

    @Test("Headers for handler authors include only headers of the C library and each other")
    func handlerHeaders() {
        let headers = SourceTree.files.filter {
            $0.path.hasPrefix("Sources/HandlerABI/include/") && $0.has(extension: "h")
        }
        #expect(!headers.isEmpty)
        // By any tail of its path: beside the file that includes it, or in one of the two folders of the search path.
        let own = Set(
            headers.flatMap { header in
                let parts = header.path.split(separator: "/")
                return parts.indices.map { parts[$0...].joined(separator: "/") }
            })
        let standard: Set = [
            "assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "pthread.h", "stdarg.h", "stdbool.h",
            "stddef.h",
            "stdint.h", "stdio.h", "stdlib.h", "string.h", "sys/types.h", "sys/uio.h", "syslog.h", "time.h",
        ]
        for header in headers {
            for name in Self.includes(in: header.text) {
                let isKnown = standard.contains(name) || own.contains(name.replacing("../", with: ""))
                #expect(isKnown, "\(header) includes \(name)")
            }
        }
    }

    @Test("Pure layers name no clock, no thread and no descriptor", arguments: ["SCSI", "ISCSI", "ISNS", "TargetCore"])
    func pureLayers(name: String) {
        let foreign = ["pthread_", "clock_gettime", "ContinuousClock", "SuspendingClock", "Task.detached", "await "]
        for file in SourceTree.files where file.path.hasPrefix("Sources/\(name)/") && file.has(extension: "swift") {
            for (number, line) in file.lines.enumerated() where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                let found = foreign.filter { line.contains($0) }
                #expect(found.isEmpty, "\(file):\(number + 1) names \(found)")
            }
        }
    }

    /// The modules that a Swift source imports, also as `public import`, `@preconcurrency import` or `import struct A.b`.
    static func imports(in text: String) -> [String] {
        let modifiers: Set = ["public", "package", "internal", "fileprivate", "private"]
        let kinds: Set = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
        return text.split(separator: "\n").compactMap { line in
            var words = line.split(separator: " ")[...]
            while let word = words.first, word.hasPrefix("@") || modifiers.contains(String(word)) {
                words = words.dropFirst()
            }
            guard words.first == "import" else { return nil }
            words = words.dropFirst()
            if let kind = words.first, kinds.contains(String(kind)) { words = words.dropFirst() }
            return words.first.map { String($0.prefix { $0 != "." && $0 != ";" }) }
        }
    }

    static func includes(in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split { " \t#".contains($0) }
            guard words.first == "include", words.count > 1 else { return nil }
            return String(words[1].dropFirst().dropLast())
        }
    }

    @Test(
        "The reader of imports knows their forms",
        arguments: [
            ("import Glibc", ["Glibc"]), ("public import SCSI", ["SCSI"]),
            ("import struct Foundation.Data", ["Foundation"]),
            ("@preconcurrency import Dispatch", ["Dispatch"]), ("    import Yams // why", ["Yams"]),
            ("// import Glibc", []), ("let important = 1", []),
        ])
    func reader(line: String, modules: [String]) {
        #expect(Self.imports(in: line) == modules)
    }
}
