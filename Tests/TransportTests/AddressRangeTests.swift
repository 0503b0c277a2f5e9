// SPDX-License-Identifier: Apache-2.0
import Testing
import Transport

@Suite("Address ranges")
struct AddressRangeTests {
    @Test(
        "Addresses are read in every form and written in one",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("192.0.2.1", "192.0.2.1"),
            ("::", "::"), ("::1", "::1"), ("2001:DB8::1", "2001:db8::1"), ("1::", "1::"),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:C000:0201", "192.0.2.1"),
            ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"), ("::0.0.0.1", "::1"),
        ])
    func addresses(text: String, written: String) {
        #expect(IPAddress(text)?.description == written)
    }

    @Test(
        "What is no address is none",
        arguments: [
            "", " ", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", "+1.2.3.4", "1.2.3.4/8",
            ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "12345::", "g::",
            "::1.2.3",
            "1.2.3.4::", "::1.2.3.4:5", "fe80::1%eth0", "[::1]", "localhost", "\u{0661}.2.3.4", "::\u{0661}",
        ])
    func noAddresses(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("The zone of a socket's address says nothing about who it is")
    func zone() {
        #expect(IPAddress(host: "fe80::1%eth0") == IPAddress("fe80::1"))
    }

    @Test(
        "A range has its first and its last address, and neither neighbour",
        arguments: [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0", "::a00:0"]),
            ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8", "::c000:207"]),
            ("192.0.2.6/31", ["192.0.2.6", "192.0.2.7"], ["192.0.2.5", "192.0.2.8"]),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], ["::", "::1"]),
            ("::/0", ["::", "ffff::", "::1"], ["0.0.0.0", "::ffff:1.2.3.4"]),
            (
                "2001:db8::/32", ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
                ["2001:db7:ffff::", "2001:db9::"]
            ),
            ("::1/128", ["::1"], ["::", "::2", "0.0.0.1"]),
            ("fe80::/10", ["fe80::1", "febf::"], ["fec0::", "fe7f::"]),
            ("::ffff:10.0.0.0/104", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0"]),
            ("::ffff:0:0/96", ["0.0.0.0", "255.255.255.255"], ["::"]),
        ])
    func members(text: String, inside: [String], outside: [String]) throws {
        let range = try AddressRange(text)
        for each in inside { #expect(range.contains(try #require(IPAddress(each))), "\(each)") }
        for each in outside { #expect(!range.contains(try #require(IPAddress(each))), "\(each)") }
    }

    @Test(
        "What is no range is refused with its reason",
        arguments: [
            ("", AddressRange.Defect.noAddress), ("10.0.0.0.0/8", .noAddress), ("host/8", .noAddress),
            ("/8", .noAddress),
            ("10.0.0.0/33", .badLength(minimum: 0, maximum: 32)), ("10.0.0.0/", .badLength(minimum: 0, maximum: 32)),
            ("10.0.0.0/-1", .badLength(minimum: 0, maximum: 32)), ("10.0.0.0/8/8", .badLength(minimum: 0, maximum: 32)),
            ("10.0.0.0/+8", .badLength(minimum: 0, maximum: 32)),
            ("10.0.0.0/99999999999", .badLength(minimum: 0, maximum: 32)),
            ("::/129", .badLength(minimum: 0, maximum: 128)),
            ("::ffff:10.0.0.0/8", .badLength(minimum: 96, maximum: 128)),
        ])
    func defects(text: String, defect: AddressRange.Defect) {
        #expect(throws: defect) { try AddressRange(text) }
    }

    @Test(
        "Bits behind the prefix are told with the range that was probably meant",
        arguments: [
            ("10.1.0.0/8", "10.0.0.0/8"), ("192.0.2.1/31", "192.0.2.0/31"), ("2001:db8::1/64", "2001:db8::/64"),
            ("1.0.0.0/0", "0.0.0.0/0"),
        ])
    func hostBits(text: String, meant: String) throws {
        let range = try AddressRange(meant)
        #expect(range.description == meant)
        #expect(throws: AddressRange.Defect.hostBits(meant: range)) { try AddressRange(text) }
    }
}
