// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Debian's file_optical, unchanged: an MMC device that serves an ISO 9660 image.
    @Suite(
        "Debian's optical handler",
        .enabled(if: tcmuHandlers != nil, "MARTLET_TCMU_HANDLERS is not set; make test sets it"))
    struct OpticalHandlerTests {
        static let blockByteCount = 2048

        private func serve(_ unit: String) throws -> MartletServer {
            try MartletServer([unit, "ram/1M"], options: ["--handler-path", try #require(tcmuHandlers)])
        }

        @Test(
            "INQUIRY, READ CAPACITY, GET CONFIGURATION, READ TOC and MODE SENSE(10) describe a disc",
            arguments: ["", "ro/"])
        func identity(option: String) throws {
            let folder = try TemporaryFolder()
            let image = try folder.write(DiscImage.bytes, to: "disc.iso")
            let server = try serve("fbo/\(option)\(image)")
            let client = try WireSession(server.url)
            let inquiry = try client.perform(.inquiry(allocation: 96))
            #expect(inquiry.data.count == 36 && inquiry.residual == 60)
            #expect(inquiry.data[0] == 0x05 && inquiry.data[1] & 0x80 != 0)
            #expect(try client.sense(.inquiry(page: 0x83)) == 0x2400)
            let capacity = try client.demand(Command(cdb: CDB.readCapacity10, receiving: 8))
            #expect(capacity.bigEndian(at: 0, count: 4) == UInt64(DiscImage.blockCount - 1))
            #expect(capacity.bigEndian(at: 4, count: 4) == 2048)

            let features = try client.perform(Command(cdb: [0x46, 0, 0, 0, 0, 0, 0, 2, 0, 0], receiving: 512))
            #expect(features.status == Outcome.good && features.residual == 512 - features.data.count)
            #expect(features.data.bigEndian(at: 0, count: 4) == UInt64(features.data.count - 4))
            // DVD-ROM, or DVD-RAM when it may be written.
            #expect(features.data.bigEndian(at: 6, count: 2) == (option.isEmpty ? 0x12 : 0x10))
            let header = try client.perform(Command(cdb: [0x46, 0, 0, 0, 0, 0, 0, 0, 8, 0], receiving: 8))
            #expect(header.data == Array(features.data[..<8]))

            let toc = try client.perform(Command(cdb: [0x43, 0, 0, 0, 0, 0, 0, 0, 64, 0], receiving: 64))
            #expect(toc.data.count == 20 && toc.residual == 44)
            #expect(toc.data[2] == 1 && toc.data[3] == 1 && toc.data[14] == 0xAA)
            #expect(toc.data.bigEndian(at: 16, count: 4) == UInt64(DiscImage.blockCount))

            let modes = try client.perform(Command(cdb: [0x5A, 0, 0x3F, 0, 0, 0, 0, 1, 0, 0], receiving: 256))
            #expect(modes.status == Outcome.good)
            #expect(modes.data.bigEndian(at: 0, count: 2) == UInt64(modes.data.count - 2))
            #expect(try client.sense(Command(cdb: [0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 64, 0], receiving: 64)) == 0x2400)
            #expect(try client.sense(Command(cdb: [0x5A, 0, 0xFF, 0, 0, 0, 0, 0, 64, 0], receiving: 64)) == 0x3900)
            try server.stop()
        }

        @Test("The volume descriptor and a file are read from the disc, by reads of every length")
        func volume() throws {
            let folder = try TemporaryFolder()
            let image = try folder.write(DiscImage.bytes, to: "disc.iso")
            let server = try serve("fbo/ro/\(image)")
            let client = try WireSession(server.url)
            let descriptor = try client.demand(.discRead(16, 1))
            #expect(Array(descriptor[0..<7]) == [1] + Array("CD001".utf8) + [1])
            #expect(String(decoding: descriptor[40..<72], as: UTF8.self).hasPrefix("MARTLET "))
            // The root directory's record, then the file's (ECMA-119 9.1).
            let root = UInt32(descriptor.bigEndian(at: 156 + 6, count: 4))
            let directory = try client.demand(.discRead(root, 1))
            let record = 2 * 34
            let place = UInt32(directory.bigEndian(at: record + 6, count: 4))
            let length = Int(directory.bigEndian(at: record + 14, count: 4))
            let file = try client.demand(.discRead(place, (length + 2047) / 2048))
            expectEqual(file.prefix(length), DiscImage.file)
            expectEqual(try client.demand(.discRead(0, DiscImage.blockCount)), DiscImage.bytes)
            // READ(6): a length of zero is 256 blocks, which this disc has not; READ(12).
            #expect(try client.sense(Command(cdb: [0x08, 0, 0, 0, 0, 0], receiving: 256 * 2048)) == 0x2100)
            let six = try client.demand(Command(cdb: [0x08, 0, 0, 16, 1, 0], receiving: 2048))
            let twelve = try client.demand(
                Command(cdb: [0xA8, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0], receiving: 2048))
            #expect(six == descriptor && twelve == descriptor)
            try server.stop()
        }

        @Test("Out of range is refused, and lengths that contradict the CDB hang nothing")
        func lengths() throws {
            let folder = try TemporaryFolder()
            let image = try folder.write(DiscImage.bytes, to: "disc.iso")
            let server = try serve("fbo/\(image)")
            let client = try WireSession(server.url)
            let last = UInt32(DiscImage.blockCount)
            #expect(try client.sense(.discRead(last, 1)) == 0x2100)
            #expect(try client.sense(.discRead(last - 1, 2)) == 0x2100)
            #expect(try client.sense(.discRead(.max, 1)) == 0x2100)
            // The handler would read for ever into memory of another length than its CDB's.
            var longer = Command.discRead(16, 1)
            longer.receiving = 3 * 2048
            let long = try client.perform(longer)
            #expect(long.status == Outcome.good && long.data.count == 2048 && long.residual == 4096)
            var shorter = Command.discRead(16, 2)
            shorter.receiving = 512
            let short = try client.perform(shorter)
            #expect(short.status == Outcome.good && short.data.count == 512 && short.residual == -3584)
            var none = Command.discRead(16, 1)
            none.receiving = 0
            #expect(try client.perform(none).status == Outcome.good)
            #expect(try client.perform(.discRead(16, 0)).status == Outcome.good)
            let block = [UInt8](repeating: 0x5A, count: 2048)
            let write = Command(cdb: [0x2A, 0, 0, 0, 0, 40, 0, 0, 2, 0], sending: block)
            #expect(try client.sense(write) == 0x2400)
            // VERIFY without data to compare: the handler would compare with memory behind its vector.
            for count in [UInt8(0), 1, 2] {
                let verify = Command(cdb: [0x2F, 0, 0, 0, 0, 40, 0, 0, count, 0])
                #expect(try client.perform(verify).status == Outcome.good)
            }
            #expect(try client.sense(Command(cdb: [0x2F, 0, 0, 0, 0, 99, 0, 0, 2, 0])) == 0x2100)
            #expect(try client.sense(Command(cdb: [0x2F, 2, 0, 0, 0, 40, 0, 0, 1, 0], sending: block)) == 0x2400)
            try expectServes(server.urls[1])
            try server.stop()
        }

        @Test("A disc that may be written is written, verified and flushed; a read-only one refuses")
        func writes() throws {
            let folder = try TemporaryFolder()
            let image = try folder.write(DiscImage.bytes, to: "disc.iso")
            let server = try serve("fbo/\(image)")
            let client = try WireSession(server.url)
            let blocks = (0..<2 * 2048).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            #expect(try client.perform(.discWrite(60, blocks)).status == Outcome.good)
            let verified = [UInt8](blocks.reversed())
            let writeAndVerify = Command(cdb: [0x2E, 0, 0, 0, 0, 70, 0, 0, 2, 0], sending: verified)
            #expect(try client.perform(writeAndVerify).status == Outcome.good)
            expectEqual(try client.demand(.discRead(70, 2)), verified)
            try client.flush()
            try server.stop()
            expectEqual(try folder.read("disc.iso")[60 * 2048..<62 * 2048], blocks)

            let readOnly = try serve("fbo/ro/\(image)")
            let reader = try WireSession(readOnly.url)
            #expect(try reader.perform(.discWrite(60, blocks)).status == Outcome.checkCondition)
            expectEqual(try reader.demand(.discRead(60, 2)), blocks)
            try readOnly.stop()
        }
    }
}

extension Command {
    fileprivate static func discRead(_ lba: UInt32, _ count: Int) -> Command {
        let cdb: [UInt8] =
            [0x28, 0] + bigEndian(UInt64(lba), count: 4) + [0] + bigEndian(UInt64(count), count: 2) + [0]
        return Command(cdb: cdb, receiving: count * 2048)
    }

    fileprivate static func discWrite(_ lba: UInt32, _ bytes: [UInt8]) -> Command {
        let count = UInt64(bytes.count / 2048)
        return Command(
            cdb: [0x2A, 0] + bigEndian(UInt64(lba), count: 4) + [0] + bigEndian(count, count: 2) + [0], sending: bytes)
    }
}
