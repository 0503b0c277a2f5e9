// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI

/// A command that the host has handed over: it ends with `complete`, and what it points to is valid until then.
@safe
struct AsyncCommand: @unchecked Sendable {
    enum Work {
        case read(Vector, byteCount: Int, at: UInt64)
        case write(Vector, byteCount: Int, at: UInt64)
        case flush
        case unmap(at: UInt64, byteCount: UInt64)
        case writeSame(Vector, at: UInt64, byteCount: UInt64)
        case writeZeroes(at: UInt64, byteCount: UInt64, mayUnmap: Bool)
        case compareAndWrite(Vector, at: UInt64, byteCount: UInt64)
        case handle
    }

    // Sendable: the host's device and command are used from one thread at a time.
    private let device: OpaquePointer
    private let pointer: UnsafeMutablePointer<tcmur_cmd>
    private let work: Work

    init(_ device: OpaquePointer, _ pointer: UnsafeMutablePointer<tcmur_cmd>, _ work: Work) {
        unsafe self.device = device
        unsafe self.pointer = pointer
        self.work = work
    }

    /// Names the command among those under way.
    var key: UInt { unsafe UInt(bitPattern: pointer) }

    /// The command and its data are the host's again.
    func complete(_ status: Int32) { unsafe tcmur_cmd_complete(device, pointer, status) }

    /// Runs the handler's method and makes its status.
    func perform(on opened: OpenDevice) async -> Int32 {
        guard case .asynchronous(let methods) = opened.handler else { return CalloutStatus.hardwareError }
        do throws(HandlerError) {
            try await perform(methods)
            return CalloutStatus.ok
        } catch {
            return unsafe error.status(SenseBuffer.of(pointer))
        }
    }

    private func perform(_ methods: AsyncMethods) async throws(HandlerError) {
        switch work {
        case .read(let vector, let byteCount, let offset):
            try await Self.read(methods, vector, byteCount, offset)
        case .write(let vector, let byteCount, let offset):
            try await Self.write(methods, vector, byteCount, offset)
        case .flush: try await methods.block?.flush()
        case .unmap(let offset, let byteCount):
            try await methods.unmapping?.unmap(at: offset, byteCount: byteCount)
        case .writeSame(let vector, let offset, let byteCount):
            let block = try unsafe CommandBuffer(vector.block(repeatedOver: byteCount))
            try await methods.writeSame?.writeSame(block, at: offset, byteCount: byteCount)
        case .writeZeroes(let offset, let byteCount, let mayUnmap):
            try await methods.zeroing?.writeZeroes(at: offset, byteCount: byteCount, mayUnmap: mayUnmap)
        case .compareAndWrite(let vector, let offset, let byteCount):
            try await Self.compareAndWrite(methods, vector, offset, byteCount)
        case .handle:
            guard var command = unsafe HandlerCommand(pointer) else { throw .notSupported }
            try await methods.command?.handleCommand(&command)
        }
    }

    private static func read(
        _ methods: AsyncMethods, _ vector: Vector, _ byteCount: Int, _ offset: UInt64
    ) async throws(HandlerError) {
        var moved = 0
        for index in 0..<vector.count where moved < byteCount {
            var buffer = unsafe CommandBuffer(vector.element(index, limit: byteCount - moved))
            try await methods.block?.read(into: &buffer, at: offset + UInt64(moved))
            moved += buffer.byteCount
        }
        guard moved == byteCount else { throw .hardwareError }
    }

    private static func write(
        _ methods: AsyncMethods, _ vector: Vector, _ byteCount: Int, _ offset: UInt64
    ) async throws(HandlerError) {
        var moved = 0
        for index in 0..<vector.count where moved < byteCount {
            let buffer = unsafe CommandBuffer(vector.element(index, limit: byteCount - moved))
            try await methods.block?.write(buffer, at: offset + UInt64(moved))
            moved += buffer.byteCount
        }
        guard moved == byteCount else { throw .hardwareError }
    }

    private static func compareAndWrite(
        _ methods: AsyncMethods, _ vector: Vector, _ offset: UInt64, _ byteCount: UInt64
    ) async throws(HandlerError) {
        var room: UnsafeMutableRawBufferPointer?
        // Ours, if there is one.
        defer { unsafe room?.deallocate() }
        let halves = try unsafe vector.halves(byteCount: byteCount, room: &room)
        let expected = unsafe CommandBuffer(halves.expected)
        let new = unsafe CommandBuffer(halves.new)
        try await methods.compareAndWrite?.compareAndWrite(expected: expected, new: new, at: offset)
    }
}
