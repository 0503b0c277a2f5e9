// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import Synchronization
internal import TargetCore

/// The durable state of one logical unit, in its file of the state folder.
final class UnitStateStore: DurableStore {
    let loaded: DurableUnitState
    private let folder: StateFolder
    private let serial: String
    private let name: String
    /// What the file holds; nil: there is none. On the thread that saves.
    private let written: Mutex<Data?>

    init(_ folder: StateFolder, serial: String, name: String, loaded: DurableUnitState, _ written: Data?) {
        self.folder = folder
        self.serial = serial
        self.name = name
        self.loaded = loaded
        self.written = Mutex(written)
    }

    func save(_ state: DurableUnitState, completion: @escaping @Sendable (Bool) -> Void) {
        folder.perform { [self] in completion(replace(state)) }
    }

    private func replace(_ state: DurableUnitState) -> Bool {
        let bytes = UnitStateFile.encode(state, serial: serial)
        let previous = written.withLock { $0 }
        guard folder.replace(name, with: bytes, previous: previous) else { return false }
        written.withLock { $0 = bytes }
        return true
    }
}
