// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Testing

@Suite("Serial numbers")
struct DeviceIdentityTests {
    private static let name = "iqn.2026-11.org.example:disk0"
    private static let defaultName = "iqn.2026-11.org.martlet:default"

    @Test("The same names give the same serial number in every process and release")
    func deterministic() {
        #expect(DeviceIdentity.serial(targetName: Self.name, deviceName: "disk0", machine: "m") == "efb024db9290fe14")
        #expect(
            DeviceIdentity.serial(targetName: Self.defaultName, deviceName: "ram/1G", machine: "m")
                == "6819c35edb8749db")
    }

    @Test("A name of one's own gives the same serial number on every machine; the default name does not")
    func machines() {
        func serial(_ target: String, _ machine: String) -> String {
            DeviceIdentity.serial(targetName: target, deviceName: "d", machine: machine)
        }
        #expect(serial(Self.name, "one") == serial(Self.name, "two"))
        #expect(serial(Self.defaultName, "one") != serial(Self.defaultName, "two"))
    }

    @Test("Names that run together differently are different")
    func boundaries() {
        let serials = [("iqn.a", "bc"), ("iqn.ab", "c"), ("iqn.abc", "")].map {
            DeviceIdentity.serial(targetName: $0.0, deviceName: $0.1, machine: "")
        }
        #expect(Set(serials).count == serials.count)
    }

    @Test("Ten thousand devices have ten thousand serial numbers of sixteen digits")
    func spread() {
        let serials = (0..<10_000).map {
            DeviceIdentity.serial(targetName: Self.name, deviceName: "disk\($0)", machine: "")
        }
        #expect(Set(serials).count == serials.count)
        #expect(serials.allSatisfy { $0.utf8.count == 16 })
    }
}
