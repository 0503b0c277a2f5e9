// SPDX-License-Identifier: Apache-2.0

/// What a logical unit must remember of persistent reservations and saved mode pages: this suite's own idea of it.
struct ReservationModel: Equatable {
    struct Holder: Equatable {
        var name: String
        /// TYPE
        var type: UInt8
    }

    /// Keys by initiator port name.
    var keys: [String: UInt64] = [:]
    var holder: Holder?
    var aptpl = false
    /// D_SENSE and SWP, as saved.
    var descriptorSense = false
    var writeProtect = false

    /// What is left of it when the server has ended, however it ended.
    var afterRestart: ReservationModel {
        var left = self
        if !aptpl {
            left.keys = [:]
            left.holder = nil
        }
        return left
    }

    /// One command, by whom, and what is remembered once it has ended well.
    struct Change {
        var sender: String
        var command: Command
        var after: ReservationModel
        var words: String
    }

    /// Types without all registrants: those have no holder to preempt, or to move from.
    private static let types: [UInt8] = [1, 3, 5, 6]

    /// A change that is legal now.
    func randomChange(names: [String], _ random: inout SplitMix64) -> Change {
        while true {
            let sender = names.randomElement(using: &random)!
            let other = names.first { $0 != sender }!
            let change =
                switch Int.random(in: 0..<10, using: &random) {
                case 0, 1, 2: register(sender, &random)
                case 3, 4: reserveOrRelease(sender, &random)
                case 5: Bool.random(using: &random) ? clear(sender) : unregister(sender, &random)
                case 6: preempt(sender, other, &random)
                case 7: move(sender, other, &random)
                default: selectModes(names, &random)
                }
            if let change { return change }
        }
    }

    private static func out(_ action: UInt8, type: UInt8 = 0, _ list: [UInt8]) -> Command {
        Command(
            cdb: [0x5F, action, type, 0, 0] + bigEndian(UInt64(list.count), count: 4) + [0], sending: list)
    }

    private static func list(_ key: UInt64, _ newKey: UInt64 = 0, aptpl: Bool = false) -> [UInt8] {
        bigEndian(key, count: 8) + bigEndian(newKey, count: 8) + [0, 0, 0, 0, aptpl ? 1 : 0, 0, 0, 0]
    }

    private func register(_ sender: String, _ random: inout SplitMix64) -> Change? {
        var after = self
        let key = UInt64.random(in: 1...UInt64.max, using: &random)
        // Mostly one, so that there is something to remember.
        after.aptpl = Int.random(in: 0..<8, using: &random) > 0
        after.keys[sender] = key
        let ignores = Bool.random(using: &random)
        let list = Self.list(ignores ? 0 : keys[sender] ?? 0, key, aptpl: after.aptpl)
        return Change(
            sender: sender, command: Self.out(ignores ? 6 : 0, list), after: after, words: "register \(after.aptpl)")
    }

    private func unregister(_ sender: String, _ random: inout SplitMix64) -> Change? {
        guard let key = keys[sender] else { return nil }
        var after = self
        after.keys[sender] = nil
        if holder?.name == sender { after.holder = nil }
        after.aptpl = Bool.random(using: &random)
        return Change(
            sender: sender, command: Self.out(0, Self.list(key, 0, aptpl: after.aptpl)), after: after,
            words: "unregister \(after.aptpl)")
    }

    private func reserveOrRelease(_ sender: String, _ random: inout SplitMix64) -> Change? {
        guard let key = keys[sender] else { return nil }
        var after = self
        if let holder {
            guard holder.name == sender else { return nil }
            after.holder = nil
            return Change(
                sender: sender, command: Self.out(2, type: holder.type, Self.list(key)), after: after, words: "release")
        }
        let type = Self.types.randomElement(using: &random)!
        after.holder = Holder(name: sender, type: type)
        return Change(
            sender: sender, command: Self.out(1, type: type, Self.list(key)), after: after, words: "reserve \(type)")
    }

    private func clear(_ sender: String) -> Change? {
        guard let key = keys[sender] else { return nil }
        var after = self
        after.keys = [:]
        after.holder = nil
        return Change(sender: sender, command: Self.out(3, Self.list(key)), after: after, words: "clear")
    }

    private func preempt(_ sender: String, _ other: String, _ random: inout SplitMix64) -> Change? {
        guard let key = keys[sender], let victim = keys[other], key != victim else { return nil }
        var after = self
        let type = Self.types.randomElement(using: &random)!
        after.keys[other] = nil
        if holder?.name == other { after.holder = Holder(name: sender, type: type) }
        let action: UInt8 = Bool.random(using: &random) ? 4 : 5
        return Change(
            sender: sender, command: Self.out(action, type: type, Self.list(key, victim)), after: after,
            words: "preempt \(type)")
    }

    private func move(_ sender: String, _ other: String, _ random: inout SplitMix64) -> Change? {
        guard let holder, holder.name == sender, let key = keys[sender] else { return nil }
        var after = self
        let newKey = UInt64.random(in: 1...UInt64.max, using: &random)
        let unregisters = Bool.random(using: &random)
        after.holder?.name = other
        after.keys[other] = newKey
        if unregisters { after.keys[sender] = nil }
        after.aptpl = true
        let name = Array(other.utf8) + [0]
        let padded = name + [UInt8](repeating: 0, count: (4 - name.count % 4) % 4)
        let list =
            bigEndian(key, count: 8) + bigEndian(newKey, count: 8) + [0, unregisters ? 3 : 1, 0, 1]
            + bigEndian(UInt64(padded.count + 4), count: 4) + [0x45, 0] + bigEndian(UInt64(padded.count), count: 2)
            + padded
        return Change(sender: sender, command: Self.out(7, list), after: after, words: "move")
    }

    /// MODE SELECT with SP of the Control mode page, by somebody whom a reservation does not keep out.
    private func selectModes(_ names: [String], _ random: inout SplitMix64) -> Change? {
        var after = self
        after.descriptorSense = Bool.random(using: &random)
        after.writeProtect = Bool.random(using: &random)
        let sender = holder?.name ?? names.randomElement(using: &random)!
        let page: [UInt8] = [
            0x0A, 10, 0x20 | 0x02 | (after.descriptorSense ? 0x04 : 0), 0x10, after.writeProtect ? 0x08 : 0, 0, 0, 0,
            0xFF, 0xFF, 0, 0,
        ]
        let command = Command(cdb: [0x15, 0x11, 0, 0, UInt8(4 + page.count), 0], sending: [0, 0, 0, 0] + page)
        return Change(sender: sender, command: command, after: after, words: "modes")
    }
}
