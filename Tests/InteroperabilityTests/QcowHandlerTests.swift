// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Debian's handler_qcow, unchanged, on images that qemu-img made and judges afterwards.
    @Suite(
        "Debian's qcow handler", .needs(.qemuImg, .qemuIo),
        .enabled(if: tcmuHandlers != nil, "MARTLET_TCMU_HANDLERS is not set; make test sets it"))
    struct QcowHandlerTests {
        private var handlers: [String] { get throws { ["--handler-path", try #require(tcmuHandlers)] } }

        private func image(
            _ folder: TemporaryFolder, _ name: String, _ arguments: String..., size: String? = "8M"
        ) throws -> String {
            let path = folder.file(name)
            try qemuImg(["create", "-f", "qcow2"] + arguments + [path] + (size.map { [$0] } ?? []))
            return path
        }

        private func qemuImg(_ arguments: [String]) throws {
            let result = try Program.qemuImg.run(arguments)
            #expect(result.succeeded, "\(result.summary)")
        }

        private func qemuIo(_ path: String, _ commands: String..., format: String = "qcow2") throws {
            let result = try Program.qemuIo.run(["-f", format] + commands.flatMap { ["-c", $0] } + [path])
            #expect(result.succeeded && !result.output.contains("failed"), "\(result.summary)")
        }

        @Test(
            "Random work on an image of either version, a clean stop, and qemu-img finds it whole and as it was served",
            arguments: [
                ["-o", "compat=0.10"], ["-o", "compat=1.1"], ["-o", "compat=0.10,cluster_size=4096"],
                ["-o", "compat=1.1,lazy_refcounts=on"],
            ])
        func randomWork(options: [String]) throws {
            let folder = try TemporaryFolder()
            let path = folder.file("disk.qcow2")
            try qemuImg(["create", "-f", "qcow2"] + options + [path, "8M"])
            print("seed \(seed)")
            let server = try MartletServer("qcow/\(path)", options: handlers)
            let client = try Initiator(server.url)
            #expect(try client.capacity() == (16383, 512))
            var workload = Workload(client, first: 0, blockCount: 16384, seed: seed)
            for _ in 0..<3 { try workload.step() }
            try client.flush()
            try workload.verifyAll()
            try qemuImg(["convert", "-f", "raw", "-O", "raw", "\(server.url)", folder.file("served.raw")])
            try server.stop()
            try qemuImg(["check", "-f", "qcow2", path])
            try qemuImg(["compare", "-f", "raw", "-F", "qcow2", folder.file("served.raw"), path])
        }

        @Test("An image over a backing file is served readonly and truthfully; writable it is refused, and stays whole")
        func backingFile() throws {
            let folder = try TemporaryFolder()
            let base = try folder.write((0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 >> 10) }, to: "base.raw")
            let path = try image(folder, "over.qcow2", "-o", "compat=0.10", "-b", base, "-F", "raw", size: nil)
            try qemuIo(path, "write -P 0x11 1M 64k")
            let words = try refusal(["qcow/\(path)"] + handlers)
            #expect(words.contains("has a backing file") && words.contains(path) && words.contains("readonly"))
            let server = try MartletServer("qcow/\(path),readonly", options: handlers)
            try qemuImg(["compare", "-f", "raw", "-F", "qcow2", "\(server.url)", path])
            #expect(try Initiator(server.url).sense(.write16(lba: 0, Block.content(lba: 0, generation: 1))) == 0x2700)
            try server.stop()
            try qemuImg(["check", "-f", "qcow2", path])
            try qemuIo(path, "read -P 0x11 1M 64k", "read -P 0x00 0 1k", "read -P 0x01 1k 1k")
        }

        @Test(
            "An image that the handler would misread or damage is refused in a sentence that says what to do",
            arguments: [
                ("zeroes", "marked as zeroes"), ("extended", "incompatible features"), ("snapshot", "snapshots"),
                ("bitmap", "bitmaps"),
                ("compressed", "compressed clusters"),
            ])
        func refused(what: String, words: String) throws {
            let folder = try TemporaryFolder()
            let extended = what == "extended" ? ",extended_l2=on" : ""
            let path = try image(folder, "disk.qcow2", "-o", "compat=1.1\(extended)")
            switch what {
            case "zeroes": try qemuIo(path, "write -P 1 0 128k", "write -z 0 64k")
            case "snapshot": try qemuImg(["snapshot", "-c", "one", path])
            case "bitmap": try qemuImg(["bitmap", "--add", path, "one"])
            case "compressed":
                try qemuIo(path, "write -P 1 0 128k")
                try qemuImg(["convert", "-c", "-O", "qcow2", "-o", "compat=0.10", path, path + ".small"])
                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.moveItem(atPath: path + ".small", toPath: path)
            default: break
            }
            let sentence = try refusal(["qcow/\(path)"] + handlers)
            #expect(sentence.contains(words) && sentence.contains("qemu-img") && sentence.contains(path), "\(sentence)")
        }

        @Test("A size that is not the image's, and a block size that is not the handler's, are refused")
        func mismatch() throws {
            let folder = try TemporaryFolder()
            let path = try image(folder, "disk.qcow2", "-o", "compat=0.10")
            #expect(
                try refusal(["qcow/\(path),size=16M"] + handlers).contains("holds 8388608 bytes, but size=16777216"))
            let result = try Program.run(
                MartletServer.path, ["serve", "--portal", "127.0.0.1:0", "qcow/\(path),block-size=4096"] + handlers)
            #expect(result.ending == .exit(1), "\(result.summary)")
            #expect(result.error.contains("qcow only supports 512") && result.error.contains("could not open"))
            try qemuImg(["check", "-f", "qcow2", path])
        }

        @Test("A file that is no qcow image is served as it is, as tcmu-runner does")
        func raw() throws {
            let folder = try TemporaryFolder()
            let path = try folder.write([UInt8](repeating: 0x42, count: 1 << 20), to: "disk.raw")
            let server = try MartletServer("qcow/\(path)", options: handlers)
            let client = try Initiator(server.url)
            expectEqual(try client.read(lba: 2047, blockCount: 1), [UInt8](repeating: 0x42, count: 512))
            try client.write(lba: 7, Block.content(lba: 7, generation: 1))
            try client.flush()
            try server.stop()
            expectEqual(try folder.read("disk.raw")[7 * 512..<8 * 512], Block.content(lba: 7, generation: 1))
        }
    }
}
