// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("QEMU's programs and third-party handlers")
    struct QemuTests {
        @Test("A disk image survives the way to a unit and back", .needs(.qemuImg), arguments: ["ram", "file"])
        func convert(subtype: String) throws {
            let folder = try TemporaryFolder()
            let image = folder.file("image.raw")
            var random = SplitMix64(seed: seed)
            print("seed \(seed)")
            var content = [UInt8](repeating: 0, count: 32 << 20)
            for _ in 0..<64 {
                let start = Int.random(in: 0..<content.count - 65536, using: &random)
                for index in start..<start + Int.random(in: 1...65536, using: &random) {
                    content[index] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            try folder.write(content, to: "image.raw")
            let unit = subtype == "ram" ? "ram/32M" : "file/\(folder.file("disk.img")),size=32M"
            let server = try MartletServer(unit)
            for arguments in [
                ["convert", "-n", "-f", "raw", "-O", "raw", image, "\(server.url)"],
                ["compare", "-f", "raw", "-F", "raw", image, "\(server.url)"],
                ["convert", "-f", "raw", "-O", "raw", "\(server.url)", folder.file("back.raw")],
                ["compare", "-f", "raw", "-F", "raw", image, folder.file("back.raw")],
            ] {
                let result = try Program.qemuImg.run(arguments)
                #expect(result.succeeded, "qemu-img \(arguments[0]): \(result.summary)")
            }
            expectEqual(try folder.read("back.raw"), content)
            try server.stop()
        }

        @Test("qemu-img compare sees a single changed block", .needs(.qemuImg))
        func difference() throws {
            let folder = try TemporaryFolder()
            let image = try folder.write([UInt8](repeating: 0, count: 1 << 20), to: "image.raw")
            let server = try MartletServer("ram/1M")
            let arguments = ["compare", "-f", "raw", "-F", "raw", image, "\(server.url)"]
            #expect(try Program.qemuImg.run(arguments).ending == .exit(0))
            try Initiator(server.url).write(lba: 2047, Block.content(lba: 2047, generation: 1))
            #expect(try Program.qemuImg.run(arguments).ending == .exit(1))
            try server.stop()
        }

        @Test("qemu-io writes, reads, zeroes and discards patterns", .needs(.qemuIo), arguments: ["ram", "file"])
        func patterns(subtype: String) throws {
            let folder = try TemporaryFolder()
            let unit = subtype == "ram" ? "ram/64M" : "file/\(folder.file("disk.img")),size=64M"
            let server = try MartletServer(unit)
            let commands = [
                "write -P 0xa5 0 64k", "write -P 0x5a 1M 4M", "write -f -P 0x11 33M 512",
                "aio_write -P 0x77 16M 1M", "aio_write -P 0x78 17M 1M", "aio_flush",
                "read -P 0xa5 0 64k", "read -P 0 64k 64k", "read -P 0x5a 1M 4M", "read -P 0x11 33M 512",
                "read -P 0x77 16M 1M", "read -P 0x78 17M 1M",
                "discard 2M 1M", "read -P 0 2M 1M", "read -P 0x5a 1M 1M", "read -P 0x5a 3M 2M",
                "write -z 3M 1M", "read -P 0 3M 1M", "flush",
            ]
            let result = try Program.qemuIo.run(
                ["-d", "unmap", "-f", "raw"] + commands.flatMap { ["-c", $0] } + ["\(server.url)"])
            #expect(result.succeeded, "\(result.summary)")
            #expect(!result.output.contains("Pattern verification failed"), "\(result.summary)")
            #expect(!(result.output + result.error).contains("failed"), "\(result.summary)")
            try server.stop()
        }

        @Test(
            "Debian's qcow handler serves beside ours, and qemu reads what went through it", .needs(.qemuImg, .qemuIo),
            .enabled(if: tcmuHandlers != nil, "MARTLET_TCMU_HANDLERS is not set; make test sets it"))
        func threeUnits() throws {
            let folder = try TemporaryFolder()
            let qcow = folder.file("b.qcow2")
            let made = try Program.qemuImg.run(["create", "-f", "qcow2", "-o", "compat=0.10", qcow, "64M"])
            #expect(made.succeeded, "\(made.summary)")
            let server = try MartletServer(
                ["ram/64M", "file/\(folder.file("a.img")),size=64M", "qcow/\(qcow)"],
                options: ["--handler-path", try #require(tcmuHandlers)])

            let clients = try server.urls.map { try Initiator($0) }
            for client in clients { #expect(try client.capacity() == (131_071, 512)) }
            for (number, client) in clients.enumerated() {
                var workload = Workload(client, first: 4096, blockCount: 16384, seed: seed &+ UInt64(number))
                for _ in 0..<4 { try workload.step() }
                try client.flush()
                try workload.verifyAll()
            }
            let pattern = try Program.qemuIo.run(
                ["-f", "raw", "-c", "write -P 0x3c 32M 1M", "-c", "flush", "\(server.urls[2])"])
            #expect(pattern.succeeded, "\(pattern.summary)")
            let copied = try Program.qemuImg.run(
                ["convert", "-f", "raw", "-O", "raw", "\(server.urls[2])", folder.file("served.raw")])
            #expect(copied.succeeded, "\(copied.summary)")
            try server.stop()

            let check = try Program.qemuImg.run(["check", "-f", "qcow2", qcow])
            #expect(check.succeeded, "\(check.summary)")
            let back = try Program.qemuIo.run(["-f", "qcow2", "-c", "read -P 0x3c 32M 1M", qcow])
            #expect(back.succeeded && !back.output.contains("failed"), "\(back.summary)")
            let same = try Program.qemuImg.run(
                ["compare", "-f", "raw", "-F", "qcow2", folder.file("served.raw"), qcow])
            #expect(same.succeeded, "\(same.summary)")
        }
    }
}
