// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI

/// What the host's device points to while it is open.
final class OpenDevice: Sendable {
    let handler: any BlockHandler
    let byteCount: UInt64

    private init(_ handler: any BlockHandler, byteCount: UInt64) {
        self.handler = handler
        self.byteCount = byteCount
    }

    static func open(_ pointer: OpaquePointer, _ type: any BlockHandler.Type) throws(HandlerRefusal) {
        let device = unsafe HostDevice(pointer)
        let handler = try type.init(device)
        let (byteCount, overflow) = device.blockCount.multipliedReportingOverflow(by: UInt64(device.blockByteCount))
        guard !overflow else {
            handler.close()
            throw HandlerRefusal(code: EOVERFLOW, reason: "the medium has more bytes than can be addressed")
        }
        let opened = OpenDevice(handler, byteCount: byteCount)
        // Released in `close`.
        unsafe tcmur_dev_set_private(pointer, Unmanaged.passRetained(opened).toOpaque())
    }

    static func close(_ pointer: OpaquePointer) {
        guard let opened = unsafe tcmur_dev_get_private(pointer) else { return }
        unsafe tcmur_dev_set_private(pointer, nil)
        // Retained in `open`; no callout is under way any more.
        unsafe Unmanaged<OpenDevice>.fromOpaque(opened).takeRetainedValue().handler.close()
    }

    /// Runs one callout on the open device of `pointer` and makes its status.
    ///
    /// `command` is the host's for the time of the call, or nil where there is none.
    @inline(__always)
    static func perform(
        _ pointer: OpaquePointer?, _ command: UnsafeMutablePointer<tcmur_cmd>?,
        _ work: (OpenDevice) throws(HandlerError) -> Void
    ) -> Int32 {
        guard let pointer = unsafe pointer, let opened = unsafe tcmur_dev_get_private(pointer) else {
            return CalloutStatus.hardwareError
        }
        do throws(HandlerError) {
            // The device keeps it alive from open to close, and the call lies between.
            try work(unsafe Unmanaged<OpenDevice>.fromOpaque(opened).takeUnretainedValue())
            return CalloutStatus.ok
        } catch {
            return unsafe error.status(SenseBuffer.of(command))
        }
    }

    /// Throws unless the range lies in the medium.
    func check(_ byteOffset: UInt64, _ byteCount: UInt64) throws(HandlerError) {
        guard byteOffset <= self.byteCount, byteCount <= self.byteCount - byteOffset else { throw .outOfRange }
    }
}

enum SenseBuffer {
    /// The start of the SENSE_BUFFERSIZE bytes of `command`.
    static func of(_ command: UnsafeMutablePointer<tcmur_cmd>?) -> UnsafeMutablePointer<UInt8>? {
        guard let command = unsafe command?.pointee.lib_cmd else { return nil }
        let offset = unsafe MemoryLayout<tcmulib_cmd>.offset(of: \.sense_buf)!
        // Inside the host's command.
        return unsafe UnsafeMutableRawPointer(command).advanced(by: offset).assumingMemoryBound(to: UInt8.self)
    }
}
