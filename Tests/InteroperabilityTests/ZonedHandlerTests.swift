// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    /// Debian's file_zbc, unchanged: a zoned device over iSCSI (ZBC-2), all of it through handle_cmd.
    @Suite(
        "Debian's zoned handler",
        .enabled(if: tcmuHandlers != nil, "MARTLET_TCMU_HANDLERS is not set; make test sets it"))
    struct ZonedHandlerTests {
        /// Zones of 1 MiB in blocks of 4 KiB, the first two conventional, on 8 MiB.
        static let options = "zbc/model-HM/lba-4096/zsize-1/conv-2@"
        static let zoneBlockCount: UInt64 = 256
        static let zoneCount = 8
        static let firstSequential: UInt64 = 512

        private func serve(_ unit: String) throws -> MartletServer {
            try MartletServer([unit, "ram/1M"], options: ["--handler-path", try #require(tcmuHandlers)])
        }

        private func serveNew(_ folder: TemporaryFolder) throws -> MartletServer {
            try serve("\(Self.options)\(folder.file("zoned")),size=8M")
        }

        @Test("INQUIRY, its pages and READ CAPACITY tell a host managed device, each with as many bytes as it has")
        func identity() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            let inquiry = try client.perform(.inquiry(allocation: 96))
            #expect(inquiry.status == Outcome.good && inquiry.data.count == 36 && inquiry.residual == 60)
            #expect(inquiry.data[0] == 0x14)
            #expect(String(decoding: inquiry.data[8..<31], as: UTF8.self) == "LIO-ORG TCMU ZBC device")

            let pages = try client.demand(.inquiry(page: 0x00))
            #expect(pages[0] == 0x14 && Set([0x83, 0xB0, 0xB1, 0xB6]).isSubset(of: pages[4...]))
            let zoned = try client.perform(.inquiry(page: 0xB6, allocation: 255))
            #expect(zoned.data.count == 64 && zoned.residual == 191)
            #expect(Array(zoned.data[0..<4]) == [0x14, 0xB6, 0x00, 0x3C])
            // URSWRZ, and the most sequential zones that may be open: half of six.
            #expect(zoned.data[4] & 0x01 == 1 && zoned.data.bigEndian(at: 16, count: 4) == 3)
            // An allocation length cuts the page, whatever the transport has room for.
            let short = try client.perform(
                Command(cdb: [0x12, 1, 0xB6, 0, 20, 0], receiving: 255))
            #expect(short.data == Array(zoned.data[..<20]) && short.residual == 235)

            let capacity = try client.perform(Command(cdb: CDB.readCapacity16(allocation: 64), receiving: 64))
            #expect(capacity.data.count == 32 && capacity.residual == 32)
            #expect(
                capacity.data.bigEndian(at: 0, count: 8) == 2047 && capacity.data.bigEndian(at: 8, count: 4) == 4096)
            #expect(capacity.data[12] >> 4 == 1, "RC BASIS")
            try server.stop()
        }

        @Test("REPORT ZONES lists the zones, from an address on, by condition, and as many as there is room for")
        func reportZones() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            let all = try client.zones()
            #expect(all.count == Self.zoneCount)
            for (index, zone) in all.enumerated() {
                let start = UInt64(index) * Self.zoneBlockCount
                #expect(zone.start == start && zone.blockCount == Self.zoneBlockCount)
                let expected: Zone.Condition = index < 2 ? .notWritePointer : .empty
                #expect(zone.isConventional == (index < 2) && zone.condition == expected)
                if index >= 2 { #expect(zone.writePointer == start) }
            }
            #expect(try client.zones(from: 3 * Self.zoneBlockCount + 7).map(\.start).first == 3 * Self.zoneBlockCount)
            #expect(try client.zones(reporting: 0x3F).count == 2)
            #expect(try client.zones(reporting: 0x05).isEmpty)
            // The list length speaks of all zones; the data end with the last whole descriptor that fits.
            let cut = try client.perform(Command(cdb: CDB.zone(0x95, 0, allocation: 192), receiving: 192))
            #expect(cut.data.count == 192 && cut.data.bigEndian(at: 0, count: 4) == UInt64(64 * Self.zoneCount))
            let room = try client.perform(Command(cdb: CDB.zone(0x95, 0, allocation: 4096), receiving: 4096))
            #expect(room.data.count == 64 + 64 * Self.zoneCount && room.residual == 4096 - room.data.count)
            #expect(
                try client.sense(Command(cdb: CDB.zone(0x95, 0, lba: 2048, allocation: 512), receiving: 512)) == 0x2100)
            try server.stop()
        }

        @Test("Writes go to the write pointer and nowhere else; what was written is read, and zeroes behind it")
        func writePointer() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            let start = Self.firstSequential
            let blocks = Zone.blocks(lba: start, count: 8)
            #expect(try client.sense(.zoneWrite(start + 1, Zone.blocks(lba: start + 1, count: 1))) == 0x2104)
            #expect(try client.perform(.zoneWrite(start, blocks)).status == Outcome.good)
            let zone = try #require(try client.zones(from: start).first)
            #expect(zone.condition == .implicitlyOpen && zone.writePointer == start + 8)
            // The same place again, before and behind the pointer: the handler's own sense, each time.
            for lba in [start, start + 7, start + 9] {
                #expect(try client.sense(.zoneWrite(lba, Zone.blocks(lba: lba, count: 1))) == 0x2104)
            }
            expectEqual(
                try client.demand(.zoneRead(start, 10)), blocks + [UInt8](repeating: 0, count: 2 * Zone.blockByteCount))
            #expect(
                try client.perform(.zoneWrite(start + 8, Zone.blocks(lba: start + 8, count: 4))).status == Outcome.good)
            expectEqual(try client.demand(.zoneRead(start, 12)), Zone.blocks(lba: start, count: 12))
            // From the pointer over the border of two zones, and beyond the medium.
            #expect(try client.sense(.zoneWrite(start + 12, Zone.blocks(lba: start + 12, count: 256))) == 0x2105)
            #expect(try client.sense(.zoneWrite(2047, Zone.blocks(lba: 2047, count: 2))) == 0x2100)
            #expect(try client.sense(.zoneRead(2047, 2)) == 0x2100)
            try server.stop()
        }

        @Test("OPEN, CLOSE, FINISH and RESET WRITE POINTER move a zone through its conditions")
        func conditions() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            let start = Self.firstSequential
            func zone() throws -> Zone { try #require(try client.zones(from: start).first) }
            try client.zoneAction(.open, start)
            #expect(try zone().condition == .explicitlyOpen)
            try client.zoneAction(.close, start)
            #expect(try zone().condition == .empty)
            try client.zoneAction(.open, start)
            #expect(try client.perform(.zoneWrite(start, Zone.blocks(lba: start, count: 4))).status == Outcome.good)
            try client.zoneAction(.close, start)
            #expect(try zone().condition == .closed && zone().writePointer == start + 4)
            try client.zoneAction(.finish, start)
            #expect(try zone().condition == .full && zone().writePointer == start + Self.zoneBlockCount)
            #expect(try client.sense(.zoneWrite(start + 4, Zone.blocks(lba: start + 4, count: 1))) == 0x2400)
            try client.zoneAction(.reset, start)
            #expect(try zone().condition == .empty && zone().writePointer == start)
            expectEqual(
                try client.demand(.zoneRead(start, 4)), [UInt8](repeating: 0, count: 4 * Zone.blockByteCount))
            // A zone that is written to its end is full by itself.
            for part in stride(from: start, to: start + Self.zoneBlockCount, by: 64) {
                #expect(try client.perform(.zoneWrite(part, Zone.blocks(lba: part, count: 64))).status == Outcome.good)
            }
            #expect(try zone().condition == .full)
            expectEqual(
                try client.demand(.zoneRead(start, 256)), Zone.blocks(lba: start, count: Int(Self.zoneBlockCount)))
            // Three zones may be open, no fourth; a conventional zone, or the middle of one, is no zone to open.
            for index in 3...5 { try client.zoneAction(.open, UInt64(index) * Self.zoneBlockCount) }
            #expect(try client.sense(.zoneAction(.open, 6 * Self.zoneBlockCount)) == 0x550E)
            #expect(try client.sense(.zoneAction(.open, 0)) == 0x2400)
            #expect(try client.sense(.zoneAction(.reset, start + 1)) == 0x2400)
            try client.zoneAction(.close, 0, isAll: true)
            #expect(try client.zones(reporting: 0x03).isEmpty)
            try client.zoneAction(.reset, 0, isAll: true)
            #expect(try client.zones(reporting: 0x01).count == Self.zoneCount - 2)
            try server.stop()
        }

        @Test("Data go from a sequential zone to a conventional one, and both are there after a restart")
        func copyAndRestart() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            let start = Self.firstSequential
            #expect(try client.perform(.zoneWrite(start, Zone.blocks(lba: start, count: 32))).status == Outcome.good)
            let data = try client.demand(.zoneRead(start, 32))
            // Conventional zones are written anywhere, again and again, across their border.
            for lba in [UInt64(240), 100, 240] {
                #expect(try client.perform(.zoneWrite(lba, data)).status == Outcome.good)
            }
            try client.flush()
            try server.stop()

            // Options would format the store again, and a size that is not its own too: both are refused.
            let handlers = ["--handler-path", try #require(tcmuHandlers)]
            let path = folder.file("zoned")
            let again = try refusal(["\(Self.options)\(path),size=8M"] + handlers)
            #expect(again.contains("holds a zoned store") && again.contains("zbc/\(path)"))
            let larger = try refusal(["zbc/\(path),size=16M"] + handlers)
            #expect(larger.contains("holds 8388608 bytes"))
            try folder.write([UInt8](repeating: 7, count: 8192), to: "precious")
            #expect(try refusal(["zbc/\(folder.file("precious")),size=8M"] + handlers).contains("is no zoned store"))
            #expect(try folder.read("precious") == [UInt8](repeating: 7, count: 8192))

            let restarted = try serve("zbc/\(path)")
            let reader = try WireSession(restarted.url)
            #expect(try reader.zones(from: start).first?.writePointer == start + 32)
            for lba in [start, 240, 100] { expectEqual(try reader.demand(.zoneRead(lba, 32)), data) }
            try expectServes(restarted.urls[1])
            try restarted.stop()
        }

        @Test("A transport that announces other lengths than the CDB misleads nobody")
        func lengths() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            let start = Self.firstSequential
            let block = Zone.blockByteCount
            #expect(try client.perform(.zoneWrite(start, Zone.blocks(lba: start, count: 4))).status == Outcome.good)
            let longer = try client.perform(
                Command(cdb: CDB.block16(0x88, lba: start, blockCount: 2), receiving: 3 * block))
            #expect(longer.status == Outcome.good && longer.residual == block)
            expectEqual(longer.data, Zone.blocks(lba: start, count: 2))
            let shorter = try client.perform(
                Command(cdb: CDB.block16(0x88, lba: start, blockCount: 3), receiving: block))
            #expect(shorter.status == Outcome.good && shorter.residual == -2 * block)
            expectEqual(shorter.data, Zone.blocks(lba: start, count: 1))
            // Less data than the CDB speaks of: nothing is written, the pointer stays.
            let write = Command(
                cdb: CDB.block16(0x8A, lba: start + 4, blockCount: 3), sending: Zone.blocks(lba: start + 4, count: 2))
            #expect(try client.sense(write) == 0x2400)
            #expect(try client.zones(from: start).first?.writePointer == start + 4)
            try server.stop()
        }

        @Test("A command that the handler does not know ends with its code, and readonly is refused")
        func unknown() throws {
            let folder = try TemporaryFolder()
            let server = try serveNew(folder)
            let client = try WireSession(server.url)
            #expect(try client.sense(Command(cdb: CDB.block16(0x93, lba: 0, blockCount: 1))) == 0x2000)
            #expect(try client.sense(Command(cdb: CDB.zone(0x94, 9, lba: 512))) == 0x2400)
            #expect(try client.sense(.inquiry(page: 0xB9)) == 0x2400)
            try server.stop()
            let words = try refusal(
                [
                    "\(Self.options)\(folder.file("other")),size=8M,readonly", "--handler-path",
                    try #require(tcmuHandlers),
                ])
            #expect(words.contains("cannot be made readonly"))
        }
    }

    /// The sentence with which `martlet serve` refuses.
    static func refusal(_ arguments: [String]) throws -> String {
        let result = try Program.run(MartletServer.path, ["serve", "--portal", "127.0.0.1:0"] + arguments)
        #expect(result.ending == .exit(2), "\(result.summary)")
        return result.error
    }
}
