// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@Suite struct HeaderTests {
    private static let include = URL(fileURLWithPath: #filePath)
        .appendingPathComponent("../../../Sources/HandlerABI/include").standardizedFileURL

    /// All of them, as handlers name them.
    static let headers = (FileManager.default.enumerator(atPath: include.path)?.compactMap { $0 as? String } ?? [])
        .filter { $0.hasSuffix(".h") }.map { $0.hasPrefix("tcmu-runner/") ? String($0.dropFirst(12)) : $0 }.sorted()

    /// What sources of handlers include, tcmu-runner's and others'.
    static let wanted = [
        "martlet-handler.h", "tcmu-runner.h", "libtcmu.h", "libtcmu_common.h", "libtcmu_log.h", "tcmur_device.h",
        "tcmur_aio.h", "tcmur_cmd_handler.h", "alua.h", "target.h", "scsi.h", "scsi_defs.h", "be_byteshift.h",
        "darray.h", "version.h", "ccan/list/list.h", "ccan/str/str.h", "ccan/str/str_debug.h",
        "ccan/container_of/container_of.h", "ccan/check_type/check_type.h", "ccan/build_assert/build_assert.h",
    ]

    @Test("Every header that handlers include is there, and none besides")
    func names() {
        #expect(Self.headers == Self.wanted.sorted())
    }

    enum Language: String, CaseIterable, CustomTestStringConvertible {
        case c = "c"
        case cPlusPlus = "c++"

        var standard: String { self == .c ? "-std=c11" : "-std=c++17" }
        var testDescription: String { standard }
    }

    @Test("A header compiles alone", arguments: headers, Language.allCases)
    func compilesAlone(_ header: String, _ language: Language) throws {
        let result = try Self.compile("#include \"\(header)\"\n", language)
        #expect(result.status == 0, "\(result.words)")
    }

    @Test("A handler compiles against the headers alone", arguments: Language.allCases)
    func handlerCompiles(_ language: Language) throws {
        let result = try Self.compile(
            """
            #include "martlet-handler.h"
            #include "tcmu-runner.h"
            static int store_open(struct tcmu_device *dev, bool reopen)
            {
                if (reopen || martlet_device_is_write_protected(dev)) return -1;
                tcmu_dev_dbg(dev, "%s: %d\\n", tcmu_dev_get_cfgstring(dev), (int)sizeof(struct tcmur_cmd));
                return 0;
            }
            static struct tcmur_handler handler;
            #ifdef __cplusplus
            extern "C"
            #endif
            int handler_init(void);
            int handler_init(void)
            {
                handler.name = "Nothing";
                handler.subtype = "nothing";
                handler.open = store_open;
                return tcmur_register_handler(&handler);
            }

            """, language)
        #expect(result.status == 0, "\(result.words)")
    }

    @Test("Headers go together with the C library's of the same subject, in any order", arguments: [false, true])
    func withSystemHeaders(_ isFirst: Bool) throws {
        let system = "#include <scsi/scsi.h>\n#include <sys/queue.h>\n#include <sys/param.h>\n"
        let own = Self.wanted.map { "#include \"\($0)\"\n" }.joined()
        // <sys/queue.h> has a LIST_HEAD of its own, as with tcmu-runner's headers.
        let sources = isFirst ? system + "#undef LIST_HEAD\n" + own : own + "#undef LIST_HEAD\n" + system
        let result = try Self.compile(sources, .c)
        #expect(result.status == 0, "\(result.words)")
    }

    @Test("The compiler is asked: a wrong use of a log function is an error", arguments: Language.allCases)
    func refusesWrongFormat(_ language: Language) throws {
        let source = """
            #include "tcmu-runner.h"
            void f(struct tcmu_device *dev);
            void f(struct tcmu_device *dev) { tcmu_dev_err(dev, "%s\\n", 1); }

            """
        #expect(try Self.compile(source, language).status != 0)
    }

    /// The exit status of the compiler, and what it said.
    private static func compile(_ source: String, _ language: Language) throws -> (status: Int32, words: String) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("source.\(language == .c ? "c" : "cc")")
        try source.write(to: file, atomically: true, encoding: .utf8)

        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "clang", "-x", language.rawValue, language.standard, "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
            "-I", include.path, "-I", include.path + "/tcmu-runner", file.path,
        ]
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let words = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: words, as: UTF8.self))
    }
}
