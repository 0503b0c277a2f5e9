// SPDX-License-Identifier: Apache-2.0
import Testing

extension Interoperability {
    @Suite("Discovery and identity")
    struct IdentityTests {
        static let target = "iqn.2026-11.org.martlet:default"

        @Test("A discovery session learns the target and where it is", arguments: ["127.0.0.1:0", "[::1]:0"])
        func discovery(portal: String) throws {
            let server = try MartletServer(["ram/1M"], portal: portal)
            let targets = try Initiator.discover(portal: server.url.portal)
            #expect(targets == [Self.target: [server.url.portal + ",1"]])
            try server.stop()
        }

        @Test("The target has the name that it is given")
        func targetName() throws {
            let name = "iqn.2026-11.org.example:disks.one"
            let server = try MartletServer("ram/1M", options: ["--target", name])
            #expect(server.url.target == name)
            #expect(try Initiator.discover(portal: server.url.portal).keys.sorted() == [name])
            try server.stop()
        }

        @Test("iscsi-ls lists every logical unit with its size", .needs(.iscsiLs))
        func list() throws {
            let server = try MartletServer(["ram/64M", "ram/1G"])
            let result = try Program.iscsiLs.run(["-s", server.url.portalURL])
            #expect(result.succeeded, "\(result.summary)")
            #expect(result.output.contains("Target:\(Self.target) Portal:\(server.url.portal),1"))
            let units = result.output.split(separator: "\n").filter { $0.hasPrefix("Lun:") }
            #expect(units.count == 2)
            #expect(units.allSatisfy { $0.contains("DIRECT_ACCESS") })
            #expect(units.map { $0.contains("Lun:0") } == [true, false])
            try server.stop()
        }

        @Test("iscsi-inq shows the names from the LUN-SPEC, and every page that is listed", .needs(.iscsiInq))
        func inquiryProgram() throws {
            let server = try MartletServer("ram/64M,vendor=ACME,product=Anvil,serial=A-1")
            let standard = try Program.iscsiInq.run(["\(server.url)"])
            #expect(standard.succeeded, "\(standard.summary)")
            #expect(standard.output.contains("Vendor:ACME "))
            #expect(standard.output.contains("Product:Anvil "))
            #expect(standard.output.contains("Peripheral Device Type:DIRECT_ACCESS"))
            for page in [0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2] {
                let result = try Program.iscsiInq.run(["-e", "1", "-c", "\(page)", "\(server.url)"])
                #expect(result.succeeded, "page \(page): \(result.summary)")
            }
            let serial = try Program.iscsiInq.run(["-e", "1", "-c", "128", "\(server.url)"])
            #expect(serial.output.contains("A-1"))
            try server.stop()
        }

        @Test("READ CAPACITY (10) and (16) agree", arguments: [("1M", 2047), ("64M", 131_071), ("1G", 2_097_151)])
        func capacity(size: String, lastBlock: UInt64) throws {
            let server = try MartletServer("ram/\(size)")
            let client = try Initiator(server.url)
            let short = try client.demand(Command(cdb: CDB.readCapacity10, receiving: 8))
            #expect(short.bigEndian(at: 0, count: 4) == lastBlock)
            #expect(short.bigEndian(at: 4, count: 4) == 512)
            #expect(try client.capacity() == (lastBlock, 512))
            try server.stop()
        }

        @Test("REPORT LUNS lists what is served, and a unit that is not there says so")
        func reportLUNs() throws {
            let server = try MartletServer(["ram/1M", "ram/1M", "ram/1M"])
            let client = try WireSession(server.urls[2])
            let list = try client.demand(Command(cdb: CDB.reportLUNs(allocation: 256), receiving: 256))
            #expect(list.bigEndian(at: 0, count: 4) == 24)
            #expect((0..<3).map { list.bigEndian(at: 8 + 8 * $0, count: 2) & 0x3FFF } == [0, 1, 2])

            let absent = try Initiator(server.url).peripheralByte(ofUnit: 9)
            #expect(absent == 0x7F, "no device, none can be")
            try server.stop()
        }

        @Test("Units have identities of their own, the same after a restart")
        func identities() throws {
            let folder = try TemporaryFolder()
            let units = ["file/\(folder.file("a.img")),size=1M", "file/\(folder.file("b.img")),size=1M"]
            func pages() throws -> [[UInt8]] {
                let server = try MartletServer(units)
                let pages = try server.urls.flatMap { url in
                    let client = try Initiator(url)
                    return try [0x80, 0x83].map { try client.demand(.inquiry(page: $0)) }
                }
                try server.stop()
                return pages
            }
            let first = try pages()
            #expect(Set(first).count == 4)
            #expect(try pages() == first)
        }

        @Test("NOP-Out is answered with its own data", arguments: [0, 1, 4, 1000, 8192])
        func ping(byteCount: Int) throws {
            let server = try MartletServer("ram/1M")
            let session = try WireSession(server.url)
            let data = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0) }
            expectEqual(try session.ping(data), data)
            try session.logout()
            try server.stop()
        }
    }
}
