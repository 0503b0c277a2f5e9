// SPDX-License-Identifier: Apache-2.0

import CHandlerHost
import HandlerABI

/// A device of the host for the time of a test, which no handler has opened.
final class TestDevice {
    static let byteCount: UInt64 = 1 << 20
    static let blockByteCount: UInt32 = 512
    static let maximumTransferBlockCount: UInt32 = 128

    let pointer: OpaquePointer

    init(_ configString: String = "ram/1M", name: String = "lun0", serial: String? = "S1") throws {
        let device = configString.withCString { configString in
            name.withCString { name in
                Self.withOptionalCString(serial) { serial in
                    var configuration = martlet_host_device_configuration()
                    configuration.config_string = configString
                    configuration.name = name
                    configuration.serial = serial
                    configuration.byte_count = Self.byteCount
                    configuration.block_byte_count = Self.blockByteCount
                    configuration.max_transfer_block_count = Self.maximumTransferBlockCount
                    configuration.unmap_enabled = true
                    return martlet_host_device_create(&configuration)
                }
            }
        }
        guard let device else { throw Refused() }
        pointer = device
    }

    deinit { martlet_host_device_destroy(pointer) }

    struct Refused: Error {}

    private static func withOptionalCString<R>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> R) -> R {
        guard let text else { return body(nil) }
        return text.withCString { body($0) }
    }
}

/// Memory in pieces, as a vector.
final class TestVector {
    let bytes: UnsafeMutableRawBufferPointer
    let elements: UnsafeMutableBufferPointer<iovec>

    init(_ lengths: [Int], fill: (Int) -> UInt8 = { _ in 0 }) {
        bytes = .allocate(byteCount: max(lengths.reduce(0, +), 1), alignment: 16)
        elements = .allocate(capacity: max(lengths.count, 1))
        elements.initialize(repeating: iovec())
        for index in bytes.indices { bytes[index] = fill(index) }
        var start = 0
        for (index, length) in lengths.enumerated() {
            elements[index] = iovec(iov_base: bytes.baseAddress! + start, iov_len: length)
            start += length
        }
    }

    deinit {
        bytes.deallocate()
        elements.deallocate()
    }

    var base: UnsafeMutablePointer<iovec> { elements.baseAddress! }
    func lengths(_ count: Int) -> [Int] { elements[..<count].map(\.iov_len) }
}
