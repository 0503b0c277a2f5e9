// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Where Debian's source package of tcmu-runner was unpacked; `make handler-sources` does it.
    static let tcmuSource = ProcessInfo.processInfo.environment["MARTLET_TCMU_SOURCE"]

    /// tcmu-runner's own handlers, unchanged, without any header of tcmu-runner.
    @Suite(
        "tcmu-runner's own sources", .needs(.pkgConfig, .compiler),
        .enabled(if: tcmuSource != nil, "MARTLET_TCMU_SOURCE is not set; make handler-sources sets it"))
    struct OriginalSourceTests {
        /// A handler, and what it is made of: files beside each other, where the preprocessor finds no others.
        struct Original: CustomTestStringConvertible, Sendable {
            let name: String
            var files: [String] = []
            var libraries: [String] = []
            /// A package that pkg-config knows, and what tcmu-runner's own build says of its version.
            var package: String?
            var defines: [String] = []

            var testDescription: String { name }

            static let qcow = Original(name: "qcow", files: ["qcow.c", "qcow.h", "qcow2.h"], libraries: ["z"])
            static let zoned = Original(name: "file_zbc", files: ["file_zbc.c", "scsi.c"])
            static let optical = Original(name: "file_optical", files: ["file_optical.c", "scsi.c"])
            static let example = Original(name: "file_example", files: ["file_example.c"])
            static let rbd = Original(name: "rbd", files: ["rbd.c"], libraries: ["rbd", "rados"])
            static let glfs = Original(
                name: "glfs", files: ["glfs.c"], libraries: ["gfapi"], package: "glusterfs-api",
                defines: ["GFAPI_VERSION760=1", "GFAPI_VERSION766=1"])
            static let all = [qcow, zoned, optical, example, rbd, glfs]
        }

        private func build(_ original: Original, in folder: TemporaryFolder) throws {
            let source = try #require(tcmuSource)
            let copies = try TemporaryFolder()
            for file in original.files {
                try FileManager.default.copyItem(atPath: "\(source)/\(file)", toPath: copies.file(file))
            }
            var flags = try HandlerSource.flags()
            if let package = original.package {
                let result = try Program.pkgConfig.run(["--cflags", package])
                #expect(result.succeeded, "\(result.summary)")
                flags += original.defines.map { "-D\($0)" }
                flags += result.output.split(whereSeparator: \.isWhitespace).map(String.init)
            }
            let result = try HandlerSource.compile(
                ["-shared", "-fPIC", "-O2", "-Wall", "-std=gnu99"] + flags
                    + original.files.filter { $0.hasSuffix(".c") }.map { copies.file($0) }
                    + original.libraries.map { "-l\($0)" }, to: folder.file("handler_\(original.name).so"))
            #expect(result.succeeded, "\(result.summary)")
            print("\(original.name): compiled, \(result.error.isEmpty ? "no warning" : result.error)")
        }

        @Test("It compiles, loads and registers", arguments: Original.all)
        func loads(original: Original) throws {
            let folder = try TemporaryFolder()
            try build(original, in: folder)
            let path = folder.file("handler_\(original.name).so")
            let list = try HandlerSource.listing(folder.path)
            let line = try #require(list.split(separator: "\n").first { $0.contains(path) }, "\(list)")
            #expect(!line.contains("needs ") && !line.contains("refused"), "\(line)")
            print(line)
        }

        @Test("file_example serves")
        func example() throws {
            let folder = try TemporaryFolder()
            try build(.example, in: folder)
            let unit = "file/\(folder.file("a")),size=1M"
            let server = try MartletServer(unit, options: ["--handler-path", folder.path])
            try expectServes(server.url, lba: 100)
            try Initiator(server.url).flush()
            try server.stop()
            #expect(try folder.read("a").count == 108 * 512, "it is tcmu-runner's: ours makes the file as long as told")
        }

        @Test("qcow serves, and qemu-img finds the image whole", .needs(.qemuImg))
        func qcow() throws {
            let folder = try TemporaryFolder()
            try build(.qcow, in: folder)
            let image = folder.file("image.qcow2")
            #expect(try Program.qemuImg.run(["create", "-f", "qcow2", "-o", "compat=0.10", image, "8M"]).succeeded)
            let server = try MartletServer("qcow/\(image)", options: ["--handler-path", folder.path])
            var workload = Workload(try Initiator(server.url), first: 0, blockCount: 16384, seed: seed)
            print("seed \(seed)")
            for _ in 0..<4 { try workload.step() }
            try workload.verifyAll()
            try Initiator(server.url).flush()
            try server.stop()
            let check = try Program.qemuImg.run(["check", "-f", "qcow2", image])
            #expect(check.succeeded, "\(check.summary)")
        }

        @Test("file_zbc and file_optical answer INQUIRY with the scsi.c that they carry")
        func passthrough() throws {
            let folder = try TemporaryFolder()
            try build(.zoned, in: folder)
            try build(.optical, in: folder)
            try folder.write([UInt8](repeating: 0, count: 1 << 20), to: "disc.iso")
            let zoned = "zbc/model-HM/lba-4096/zsize-1/conv-2@\(folder.file("zoned")),size=64M"
            let server = try MartletServer(
                [zoned, "fbo/\(folder.file("disc.iso"))"], options: ["--handler-path", folder.path])
            let types = try server.urls.map { try Initiator($0).demand(.inquiry())[0] & 0x1F }
            #expect(types == [0x14, 0x05])
            try server.stop()
        }
    }
}
