// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Sources of handlers", .needs(.pkgConfig, .compiler))
    struct SourceCompatibilityTests {
        @Test(
            "A handler in tcmu-runner's own shape compiles without a warning and serves", arguments: ["gnu99", "gnu11"])
        func inTree(standard: String) throws {
            let folder = try TemporaryFolder()
            let result = try HandlerSource.compile(
                ["-shared", "-fPIC", "-std=\(standard)", "-Wall", "-Wextra", "-Werror"] + HandlerSource.flags()
                    + [HandlerSource.own("in_tree.c")], to: folder.file("handler_tree.so"))
            #expect(result.succeeded, "\(result.summary)")
            let disk = folder.file("disk.img")
            let server = try MartletServer("tree/\(disk),size=1M", options: ["--handler-path", folder.path])
            let initiator = try Initiator(server.url)
            let contents = Block.contents(lba: 8, blockCount: 9, generation: 1)
            try initiator.write(lba: 8, contents)
            try initiator.write(lba: 100, Array(contents.prefix(512)))
            try initiator.flush()
            expectEqual(try initiator.read(lba: 8, blockCount: 9), contents)
            try initiator.logout()
            try server.stop()
            let journal = String(decoding: try folder.read("disk.img.journal"), as: UTF8.self)
            #expect(
                journal == "writes 2 bytes 5120 longest 4608 shortest 512 rounded 8192 extents 4096+4608 51200+512\n")
        }

        @Test("Lists, growing arrays and their relatives do what they promise", arguments: ["-O0", "-O2"])
        func collections(level: String) throws {
            let folder = try TemporaryFolder()
            let program = folder.file("collections")
            let result = try HandlerSource.compile(
                ["-std=gnu11", level, "-Wall", "-Wextra", "-Werror"] + HandlerSource.flags()
                    + [HandlerSource.own("collections.c")], to: program)
            #expect(result.succeeded, "\(result.summary)")
            let run = try Program.run(program, [])
            #expect(run.succeeded, "\(run.summary)")
        }

        @Test("A handler that leaves scsi.c out is refused with the functions that it lacks")
        func lacksEmulation() throws {
            let folder = try TemporaryFolder()
            let source = try folder.write(
                Array(
                    """
                    #include "tcmu-runner.h"
                    static int answer(struct tcmu_device *dev, struct tcmur_cmd *cmd)
                    {
                        struct tcmulib_cmd *lib = cmd->lib_cmd;
                        return tcmu_emulate_inquiry(dev, NULL, lib->cdb, lib->iovec, lib->iov_cnt);
                    }
                    static int open_it(struct tcmu_device *dev, bool reopen) { (void)dev; return reopen; }
                    static void close_it(struct tcmu_device *dev) { (void)dev; }
                    struct tcmur_handler lean_handler = {
                        .name = "Lean", .subtype = "lean", .open = open_it, .close = close_it, .handle_cmd = answer,
                    };
                    int handler_init(void) { return tcmur_register_handler(&lean_handler); }

                    """.utf8), to: "lean.c")
            let result = try HandlerSource.compile(
                ["-shared", "-fPIC"] + HandlerSource.flags() + [source], to: folder.file("handler_lean.so"))
            #expect(result.succeeded, "\(result.summary)")
            let list = try HandlerSource.listing(folder.path)
            #expect(list.contains("needs a symbol that nothing offers: tcmu_emulate_inquiry"), "\(list)")
        }

        @Test("What is installed is complete wherever it stands")
        func installed() throws {
            let folder = try TemporaryFolder()
            // As pkg-config and the loader write paths.
            let prefix = folder.file("destination/usr").replacing("//", with: "/")
            let install = try Program.bash.run(
                [HandlerSource.repository.path + "/scripts/install.sh", HandlerSource.build, prefix])
            #expect(install.succeeded, "\(install.summary)")
            let flags = try HandlerSource.flags(prefix: prefix)
            #expect(!flags.isEmpty && flags.allSatisfy { $0.hasPrefix("-I\(prefix)/") })
            let result = try HandlerSource.compile(
                ["-shared", "-fPIC", "-std=gnu11", "-Wall", "-Wextra", "-Werror"] + flags
                    + [HandlerSource.own("in_tree.c")], to: prefix + "/lib/martlet/handlers/handler_tree.so")
            #expect(result.succeeded, "\(result.summary)")
            let list = try HandlerSource.listing(folder.path, program: prefix + "/bin/martlet")
            for subtype in ["ram", "file", "aio", "uring", "tree"] {
                #expect(list.contains("\(prefix)/bin/../lib/martlet/handlers/handler_\(subtype).so"), "\(list)")
            }
            // Where other libraries' headers stand, too, only these two names are ours.
            let names = try FileManager.default.contentsOfDirectory(atPath: prefix + "/include").sorted()
            #expect(names == ["martlet-handler.h", "tcmu-runner"])
        }

        @Test("make install installs where DESTDIR and PREFIX say", .needs(.make))
        func makeInstall() throws {
            let folder = HandlerSource.repository.path
            let result = try Program.make.run(
                ["--dry-run", "--directory", folder, "install", "DESTDIR=/somewhere", "PREFIX=/usr"])
            #expect(result.succeeded, "\(result.summary)")
            let line = result.output.split(separator: "\n").last { $0.hasPrefix("scripts/install.sh") }
            #expect(line?.hasSuffix("/build\" \"/somewhere/usr\"") == true, "\(result.output)")
        }
    }
}
