// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI
internal import Synchronization

/// What the host's device points to while it is open: the handler's instance, seen as each of the things that it can do.
final class OpenDevice: Sendable {
    /// How a handler's commands are performed.
    enum Handler {
        case blocking(BlockingMethods)
        case asynchronous(AsyncMethods)
    }

    let handler: Handler
    let resizing: (any ResizingHandler)?
    let health: (any HealthReportingHandler)?
    let space: (any SpaceReportingHandler)?
    private let currentByteCount: Atomic<UInt64>

    private init(_ handler: Handler, _ instance: any HandlerDescription, byteCount: UInt64) {
        self.handler = handler
        resizing = instance as? any ResizingHandler
        health = instance as? any HealthReportingHandler
        space = instance as? any SpaceReportingHandler
        currentByteCount = Atomic(byteCount)
    }

    static func open(_ device: HostDevice, _ type: HandlerType) throws(HandlerRefusal) {
        let opened: OpenDevice
        switch type {
        case .blocking(let type):
            let instance = try type.init(device)
            guard let byteCount = byteCount(of: device) else {
                instance.close()
                throw tooLarge
            }
            opened = OpenDevice(.blocking(BlockingMethods(instance)), instance, byteCount: byteCount)
        case .asynchronous(let type):
            let methods = try AsyncMethods.open(type, device)
            guard let byteCount = byteCount(of: device) else {
                methods.close()
                throw tooLarge
            }
            opened = OpenDevice(.asynchronous(methods), methods.instance, byteCount: byteCount)
        }
        // Released in `close`.
        unsafe tcmur_dev_set_private(device.pointer, Unmanaged.passRetained(opened).toOpaque())
        // The store may have changed its size before it could be found.
        if let byteCount = byteCount(of: device) { opened.sizeChanged(toByteCount: byteCount) }
    }

    private static let tooLarge = HandlerRefusal(
        code: EOVERFLOW, reason: "the medium has more bytes than can be addressed")

    private static func byteCount(of device: HostDevice) -> UInt64? {
        let (byteCount, overflow) = device.blockCount.multipliedReportingOverflow(by: UInt64(device.blockByteCount))
        return overflow ? nil : byteCount
    }

    static func close(_ pointer: OpaquePointer) {
        guard let opened = unsafe tcmur_dev_get_private(pointer) else { return }
        // Retained in `open`; no command is under way any more. The instance may still talk to the host: the device
        // forgets it afterwards.
        let device = unsafe Unmanaged<OpenDevice>.fromOpaque(opened).takeRetainedValue()
        switch device.handler {
        case .blocking(let methods): methods.instance.close()
        case .asynchronous(let methods): methods.close()
        }
        unsafe tcmur_dev_set_private(pointer, nil)
        withExtendedLifetime(device) {}
    }

    /// Nil before `open` and after `close`.
    static func of(_ device: HostDevice) -> OpenDevice? { unsafe of(device.pointer) }

    /// `pointer` is the host's device, in the course of a call that lies between open and close.
    @inline(__always)
    static func of(_ pointer: OpaquePointer?) -> OpenDevice? {
        guard let pointer = unsafe pointer, let opened = unsafe tcmur_dev_get_private(pointer) else { return nil }
        // The device keeps it alive from open to close.
        return unsafe Unmanaged<OpenDevice>.fromOpaque(opened).takeUnretainedValue()
    }

    /// Throws unless the range lies in the medium.
    func check(_ byteOffset: UInt64, _ byteCount: UInt64) throws(HandlerError) {
        let end = currentByteCount.load(ordering: .relaxed)
        guard byteOffset <= end, byteCount <= end - byteOffset else { throw .outOfRange }
    }

    func sizeChanged(toByteCount byteCount: UInt64) { currentByteCount.store(byteCount, ordering: .relaxed) }
}

/// The instance of a handler that blocks, cast once for all commands.
final class BlockingMethods: Sendable {
    let instance: any StoreHandler
    let block: (any BlockHandler)?
    let unmapping: (any UnmappingHandler)?
    let writeSame: (any WriteSameHandler)?
    let zeroing: (any ZeroingHandler)?
    let compareAndWrite: (any CompareAndWriteHandler)?
    let blockStatus: (any BlockStatusHandler)?
    let command: (any CommandHandler)?

    init(_ instance: any StoreHandler) {
        self.instance = instance
        block = instance as? any BlockHandler
        unmapping = instance as? any UnmappingHandler
        writeSame = instance as? any WriteSameHandler
        zeroing = instance as? any ZeroingHandler
        compareAndWrite = instance as? any CompareAndWriteHandler
        blockStatus = instance as? any BlockStatusHandler
        command = instance as? any CommandHandler
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
