// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Writing a handler, from the guide's text or from `martlet handler new`, as far as data served over iSCSI.
    @Suite("Authors of handlers")
    struct AuthorTests {
        @Test("The guide's handler in C is compiled from its text, passes martlet check, and serves a part of a file")
        func guideInC() throws {
            let author = try Author()
            let source = try Author.code("c", under: "A handler in C")
            #expect(source.split(separator: "\n", omittingEmptySubsequences: false).count - 1 <= 60)
            try author.folder.write(source.utf8, to: "handler_slice.c")
            try author.shell(
                "cc -shared -fPIC -O2 -Wall -Werror -o handler_slice.so handler_slice.c "
                    + "$(pkg-config --cflags martlet-handler)")
            let media = try author.folder.write([UInt8](repeating: 0, count: 16 << 20), to: "check.img")
            try author.check(
                "handler_slice.so", config: "slice/4096:\(media)", secondConfig: "slice/8388608:\(media)")
            let others = [UInt8](repeating: 0xEE, count: 4096)
            let part = [UInt8](repeating: 0, count: 4 << 20)
            let disk = try author.folder.write(others + part + others, to: "disk.img")
            try author.serve("slice/4096:\(disk),size=4M", from: "")
            // Nothing beside the part has changed, and the part has.
            let bytes = try author.folder.read("disk.img")
            expectEqual(bytes.prefix(4096), others)
            expectEqual(bytes.suffix(4096), others)
            #expect(bytes.dropFirst(4096).dropLast(4096).contains { $0 != 0 })
        }

        @Test("A slice that reaches beyond its file is refused", arguments: ["4097", "x", "-1", ""])
        func guideRefuses(offset: String) throws {
            let author = try Author()
            try author.folder.write(try Author.code("c", under: "A handler in C").utf8, to: "handler_slice.c")
            try author.shell(
                "cc -shared -fPIC -o handler_slice.so handler_slice.c $(pkg-config --cflags martlet-handler)")
            let disk = try author.folder.write([UInt8](repeating: 0, count: 8192), to: "disk.img")
            let result = try Program.run(
                MartletServer.path,
                [
                    "serve", "--portal", "127.0.0.1:0", "--handler-path", author.folder.path,
                    "slice/\(offset):\(disk),size=4096",
                ])
            #expect(result.ending == .exit(1), "\(result.summary)")
            #expect(result.error.contains("no file with 4096 bytes behind that offset"), "\(result.summary)")
        }

        @Test("What martlet handler new writes in C builds, passes its test, and serves")
        func newInC() throws {
            let author = try Author()
            try author.run(MartletServer.path, "handler", "new", "tape", "--language", "c")
            try author.run("make", "check", "CHECK_FLAGS=--quick", in: "tape")
            try author.serve("tape/,size=4M", from: "tape")
            try author.run("make", "install", "DESTDIR=\(author.folder.file("root"))", "HANDLERS=/handlers", in: "tape")
            #expect(FileManager.default.fileExists(atPath: author.folder.file("root/handlers/handler_tape.so")))
        }

        @Test("An installed Martlet writes folders that build against what was installed with it")
        func newFromPrefix() throws {
            let author = try Author()
            let prefix = author.folder.file("prefix")
            try author.run(Author.sources + "/scripts/install.sh", Author.prefix, prefix)
            try author.run(prefix + "/bin/martlet", "handler", "new", "disc", "--language", "swift")
            let package = try String(decoding: author.folder.read("disc/Package.swift"), as: UTF8.self)
            #expect(package.contains("\(prefix)/share/martlet/handler-kit"))
            try author.run("swift", "package", "describe", in: "disc")
            try author.run(prefix + "/bin/martlet", "handler", "new", "reel", "--language", "c")
            try author.run("make", in: "reel")
            try author.run("make", "install", in: "reel")
            let listing = try author.run(prefix + "/bin/martlet", "handlers")
            #expect(listing.contains("\(prefix)/lib/martlet/handlers/handler_reel.so"))
        }

        /// One folder for both, because building the kit takes the time.
        @Test("What martlet handler new writes in Swift passes its test and serves, and so does the guide's handler")
        func newInSwift() throws {
            let author = try Author()
            let began = ContinuousClock.now
            try author.run(MartletServer.path, "handler", "new", "sparse", "--language", "swift")
            try author.run("swift", "test", in: "sparse")
            try author.serve("sparse/,size=4M", from: "sparse/.build/debug")

            let source = try Author.code("swift", under: "A handler in Swift")
            #expect(source.split(separator: "\n", omittingEmptySubsequences: false).count - 1 <= 40)
            try author.folder.write(source.utf8, to: "sparse/Sources/SparseStore/SparseStore.swift")
            try author.run("swift", "build", "--product", "handler_sparse", in: "sparse")
            try author.check("sparse/.build/debug/libhandler_sparse.so", config: "sparse/")
            try author.serve("sparse/,size=4M", from: "sparse/.build/debug")
            print("the handlers in Swift took \(began.duration(to: .now))")
        }

        struct Mistake: CustomTestStringConvertible {
            let testDescription: String
            let arguments: [String]
            let names: String
        }

        static let mistakes = [
            Mistake(testDescription: "a digit first", arguments: ["9x", "--language", "c"], names: "\"9x\""),
            Mistake(testDescription: "a dash", arguments: ["a-b", "--language", "c"], names: "\"a-b\""),
            Mistake(testDescription: "no name", arguments: ["", "--language", "c"], names: "no name"),
            Mistake(testDescription: "a path", arguments: ["../x", "--language", "c"], names: "../x"),
            Mistake(testDescription: "letters of no C", arguments: ["é", "--language", "c"], names: "é"),
            Mistake(
                testDescription: "a long name", arguments: [String(repeating: "x", count: 65), "--language", "c"],
                names: "xxx"),
            Mistake(testDescription: "an unknown language", arguments: ["x", "--language", "perl"], names: "perl"),
            Mistake(testDescription: "no language", arguments: ["x"], names: "--language"),
            Mistake(
                testDescription: "a folder that is in use", arguments: ["x", "--language", "c", "--directory", "FULL"],
                names: "not empty"),
            Mistake(
                testDescription: "a file in the way",
                arguments: ["x", "--language", "c", "--directory", "FULL/file"], names: "/FULL/file"),
            Mistake(
                testDescription: "no kit", arguments: ["x", "--language", "swift", "--kit", "FULL"],
                names: "no handler kit"),
        ]

        @Test("A mistake is named in a sentence, and nothing is written", arguments: mistakes)
        func mistake(_ mistake: Mistake) throws {
            let author = try Author()
            try FileManager.default.createDirectory(
                atPath: author.folder.file("FULL"), withIntermediateDirectories: false)
            try author.folder.write([1], to: "FULL/file")
            let words = mistake.arguments.map { $0.replacing("FULL", with: author.folder.file("FULL")) }
            let line = "cd '\(author.folder.path)' && exec \"$@\""
            let result = try Program.run("/bin/sh", ["-c", line, "sh", MartletServer.path, "handler", "new"] + words)
            #expect(result.ending == .exit(2), "\(result.summary)")
            #expect(result.output.isEmpty && result.error.split(separator: "\n").count == 1, "\(result.summary)")
            #expect(result.error.contains(mistake.names), "\(result.summary)")
            let left = try FileManager.default.subpathsOfDirectory(atPath: author.folder.path)
            #expect(Set(left) == ["FULL", "FULL/file"])
        }
    }
}
