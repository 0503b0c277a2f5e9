// SPDX-License-Identifier: Apache-2.0

import ControlPlane
import Dispatch
import Foundation
import SCSI
import TargetCore
import Testing

@Suite("The state folder")
struct StateFolderTests {
    private static let serial = "0123456789"

    /// A folder of the test's own.
    private final class Folder {
        let path = NSTemporaryDirectory() + "/martlet-state-\(UUID().uuidString)"

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var file: String { "\(path)/\(UnitStateFile.name(serial: StateFolderTests.serial))" }

        func open() throws -> StateFolder { try StateFolder.open(path, diagnostics: .silent) }

        /// What a server that starts now finds.
        func found(serial: String = StateFolderTests.serial) throws -> DurableUnitState {
            let folder = try open()
            defer { folder.close() }
            return try folder.store(serial: serial).loaded
        }

        /// The words of the failure that such a server ends with.
        func refusal(serial: String = StateFolderTests.serial) -> String? {
            do {
                _ = try found(serial: serial)
                return nil
            } catch {
                return "\(error)"
            }
        }

        var bytes: [UInt8] {
            get { (try? [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))) ?? [] }
            set { try? Data(newValue).write(to: URL(fileURLWithPath: file)) }
        }
    }

    private static func state(_ value: UInt8) -> DurableUnitState {
        var state = DurableUnitState()
        state.modePages = [SavedModePage(code: 0x0A, subpage: 0, bytes: [0x0A, 10, value])]
        return state
    }

    /// A folder with one saved state.
    private func saved(_ value: UInt8 = 7) throws -> Folder {
        let folder = Folder()
        let open = try folder.open()
        try open.store(serial: Self.serial).save(Self.state(value)) { #expect($0) }
        open.close()
        return folder
    }

    @Test("What was saved last is what the next server finds, and a close waits for it")
    func saving() throws {
        let folder = Folder()
        #expect(try folder.found() == DurableUnitState())
        let open = try folder.open()
        let store = try open.store(serial: Self.serial)
        let order = Order()
        for value in 0..<20 as Range<UInt8> {
            store.save(Self.state(value)) {
                #expect($0)
                order.note(value)
            }
        }
        open.close()
        #expect(order.values == Array(0..<20))
        #expect(try folder.found() == Self.state(19))
        #expect(try folder.found(serial: "another") == DurableUnitState())
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(left.sorted() == ["lock", "unit-0123456789.json"])
    }

    private final class Order: @unchecked Sendable {
        private let lock = NSLock()
        private var noted: [UInt8] = []

        var values: [UInt8] { lock.withLock { noted } }
        func note(_ value: UInt8) { lock.withLock { noted.append(value) } }
    }

    @Test("Only its own user can look into the folder and the file")
    func permissions() throws {
        let folder = try saved()
        for (path, expected) in [(folder.path, 0o700), (folder.file, 0o600)] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == expected)
        }
    }

    @Test("A file that is cut off anywhere is refused by its name")
    func truncated() throws {
        let folder = try saved()
        let whole = folder.bytes
        #expect(whole.count > 100)
        for count in whole.indices {
            folder.bytes = Array(whole[..<count])
            let words = folder.refusal() ?? ""
            #expect(words.contains(folder.file) && words.contains("move it away"), "\(count) bytes: \(words)")
        }
        folder.bytes = whole
        #expect(try folder.found() == Self.state(7))
    }

    @Test("A file with one bit turned over is refused")
    func corrupt() throws {
        let folder = try saved()
        let whole = folder.bytes
        for index in whole.indices {
            folder.bytes[index] ^= 1
            #expect(folder.refusal()?.contains(folder.file) == true, "byte \(index)")
            folder.bytes = whole
        }
    }

    @Test(
        "A file of another kind, of a newer version, of another unit or of another shape is refused in words of its own"
    )
    func foreign() throws {
        let folder = try saved()
        let text = String(decoding: folder.bytes, as: UTF8.self)
        func refusal(_ text: String) -> String {
            folder.bytes = Array(text.utf8)
            return folder.refusal() ?? "no refusal"
        }
        #expect(refusal("{}").contains("is no state of a logical unit"))
        #expect(refusal("[1, 2]").contains("is no state of a logical unit"))
        #expect(refusal("").contains("is damaged"))
        let newer = text.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 2")
        #expect(newer != text && refusal(newer).contains("newer martlet (version 2"))
        let other = text.replacingOccurrences(of: Self.serial, with: "9876543210")
        #expect(
            other != text
                && refusal(other).contains("belongs to the logical unit with the serial number \"9876543210\""))
        #expect(refusal(String(repeating: " ", count: 5 << 20)).contains("is damaged (it is too long)"))
    }

    @Test("A file that cannot be read is refused, not taken for none")
    func unreadable() throws {
        let folder = Folder()
        try FileManager.default.createDirectory(atPath: folder.file, withIntermediateDirectories: true)
        #expect(folder.refusal()?.contains("cannot be read") == true)
    }

    @Test("Two servers do not share a folder, and the second may have it when the first has ended")
    func locked() throws {
        let folder = Folder()
        let first = try folder.open()
        #expect(throws: Failure.self) { try folder.open() }
        #expect(folder.refusal()?.contains("another martlet that is running") == true)
        first.close()
        #expect(try folder.found() == DurableUnitState())
    }

    @Test("A folder that cannot be made or used is an error that says what to do")
    func unusable() throws {
        let folder = try saved()
        for path in [folder.file + "/inside", "/proc/martlet-state"] {
            do {
                try StateFolder.open(path, diagnostics: .silent).close()
                Issue.record("\(path) was taken")
            } catch {
                #expect(error.description.contains("--state-dir \(path)") && error.kind == .runTime)
            }
        }
    }

    @Test("A save into a folder that is gone fails, and says so")
    func folderGone() throws {
        let folder = Folder()
        let open = try folder.open()
        let store = try open.store(serial: Self.serial)
        try FileManager.default.removeItem(atPath: folder.path)
        let outcome = Order()
        store.save(Self.state(1)) { outcome.note($0 ? 1 : 0) }
        open.close()
        #expect(outcome.values == [0])
    }

    @Test(
        "A serial number becomes a file name, whatever it holds",
        arguments: [
            ("A-1_b", "unit-A-1_b.json"), ("../../etc/passwd", "unit-%2E%2E%2F%2E%2E%2Fetc%2Fpasswd.json"),
            ("a b%\"é", "unit-a%20b%25%22%C3%A9.json"), ("", "unit-.json"), (".", "unit-%2E.json"),
        ])
    func names(serial: String, name: String) {
        #expect(UnitStateFile.name(serial: serial) == name)
    }

    @Test("Long serial numbers give names that file systems take, and that differ")
    func longNames() {
        let long = String(repeating: "/", count: 252)
        let names = [long, long + "a", long + "b"].map { UnitStateFile.name(serial: $0) }
        #expect(Set(names).count == 3)
        #expect(names.allSatisfy { $0.utf8.count < 250 })
    }
}
