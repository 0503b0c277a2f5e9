// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A folder of one test's own, removed with everything in it when the test is done.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "/martlet-test-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("cannot make a temporary folder", errno: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of `name` inside the folder.
    func file(_ name: String) -> String { path + "/" + name }

    /// Writes `bytes` to a file in the folder and returns its path.
    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    func read(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: URL(fileURLWithPath: file(name))))
    }
}

/// Something in the test's own machinery failed: not a statement about the server.
struct HarnessError: Error, CustomStringConvertible {
    let description: String

    init(_ what: String) { description = what }

    init(_ what: String, errno code: Int32) { description = what + ": " + String(cString: strerror(code)) }
}
