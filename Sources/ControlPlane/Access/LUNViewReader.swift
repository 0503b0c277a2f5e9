// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Reads `luns`: numbers, each with the name of a device or with `{device: NAME, readonly: yes}`.
struct LUNViewReader {
    let devices: [Configuration.Device]

    private static let keys = ["device", "readonly"]

    func read(_ value: YAMLValue) throws(Failure) -> LUNView {
        var view = LUNView()
        for (key, text, entry) in try value.entries() {
            guard let number = Self.number(text) else {
                throw key.failure("\"\(text)\" is no LUN: write a number from 0 to \(Configuration.maximumLUN)")
            }
            guard view.units[number] == nil else { throw key.failure("LUN \(number) stands here twice") }
            view.units[number] = try readUnit(number, entry)
        }
        return view
    }

    static func number(_ text: String) -> Int? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
            number <= Configuration.maximumLUN
        else { return nil }
        return number
    }

    private func readUnit(_ number: Int, _ value: YAMLValue) throws(Failure) -> LUNView.Unit {
        guard value.isMapping else {
            return LUNView.Unit(device: try readDevice(number, value))
        }
        let keys = try value.entries(known: Self.keys)
        guard let device = keys["device"] else {
            throw value.failure("LUN \(number) needs a device, such as {device: \(devices.first?.name ?? "disk0")}")
        }
        return LUNView.Unit(
            device: try readDevice(number, device), isReadOnly: try keys["readonly"]?.truth() ?? false)
    }

    private func readDevice(_ number: Int, _ value: YAMLValue) throws(Failure) -> String {
        let device = try value.text()
        guard devices.contains(where: { $0.name == device }) else {
            throw value.failure("LUN \(number) names the device \"\(device)\", which \(advice(device))")
        }
        return device
    }

    private func advice(_ name: String) -> String {
        guard let near = NearestKey.find(name, among: devices.map(\.name)) else {
            return "is not under devices: add it there"
        }
        return "is not under devices: did you mean \(near)?"
    }
}
