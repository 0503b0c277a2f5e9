// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import HandlerABI

/// Looks at the words of a `struct tcmur_handler` before any of its functions is called. A structure of an older
/// generation nearly always shows a data pointer or a number where this generation has a callout.
enum HandlerStructure {
    /// Worker threads of one device: more is a mistake, or a word of another layout.
    static let maximumThreadCount = 1024

    private static let byteCount = unsafe MemoryLayout<tcmur_handler>.size
    private static let longestString = 4096

    /// Byte offsets of the callouts that may be absent or functions, by name.
    private static let functions: [(offset: Int, name: String)] = [
        (32, "check_config"), (40, "reconfig"), (48, "open"), (56, "close"), (72, "handle_cmd"), (80, "read"),
        (88, "write"), (96, "flush"), (104, "unmap"), (112, "writesame"), (120, "caw"), (128, "report_event"),
        (136, "lock"), (144, "unlock"), (152, "get_lock_tag"), (160, "get_lock_state"), (176, "update_logdir"),
        (184, "init"), (192, "destroy"),
    ]
    private static let dbusFlagOffset = 168

    /// What is wrong with the structure at `address`; nil when it can be of this generation and is complete.
    static func objection(to address: UnsafeRawPointer) -> HandlerRefusal.Reason? {
        let map = MemoryMap.current()
        let start = UInt(bitPattern: address)
        guard start % 8 == 0, map.isReadable(start, byteCount: byteCount) else {
            return .wrongStructure("it does not lie in readable memory")
        }
        for (offset, name) in functions {
            // `byteCount` bytes from `address` are readable.
            let word = unsafe address.load(fromByteOffset: offset, as: UInt.self)
            guard word == 0 || map.isExecutable(word) else {
                return .wrongStructure("its word at byte \(offset), \(name), is no function")
            }
        }
        if let evidence = unsafe objectionToScalars(address, map) { return .wrongStructure(evidence) }
        return unsafe objectionToCallouts(address.load(as: tcmur_handler.self))
    }

    private static func objectionToScalars(_ address: UnsafeRawPointer, _ map: MemoryMap) -> String? {
        // An object of the file has clean padding behind the flag, one from malloc may not.
        let isStatic = unsafe clinux_is_in_loaded_object(address)
        let flag =
            unsafe isStatic
            ? address.load(fromByteOffset: dbusFlagOffset, as: UInt.self)
            : UInt(address.load(fromByteOffset: dbusFlagOffset, as: UInt8.self))
        guard flag <= 1 else { return "its word at byte \(dbusFlagOffset), _is_dbus_handler, is neither 0 nor 1" }
        let fields = unsafe address.load(as: tcmur_handler.self)
        let strings = unsafe [(fields.name, "name"), (fields.subtype, "subtype"), (fields.cfg_desc, "cfg_desc")]
        for unsafe(string, name) in unsafe strings {
            guard let string = unsafe string else { continue }
            guard unsafe isText(string, map) else { return "its \(name) is no string" }
        }
        let threads = unsafe fields.nr_threads
        guard (0...Int32(maximumThreadCount)).contains(threads) else {
            return "its nr_threads is \(threads), not 0 to \(maximumThreadCount)"
        }
        return nil
    }

    /// Whether readable memory from `string` on holds a NUL.
    private static func isText(_ string: UnsafePointer<CChar>, _ map: MemoryMap) -> Bool {
        let room = min(map.readableByteCount(from: UInt(bitPattern: string)), longestString)
        // Only `room` bytes, all readable, are looked at.
        return unsafe UnsafeBufferPointer(start: string, count: room).contains(0)
    }

    private static func objectionToCallouts(_ handler: tcmur_handler) -> HandlerRefusal.Reason? {
        guard let subtype = unsafe handler.subtype else { return .incomplete("a subtype") }
        let text = unsafe String(cString: subtype)
        guard !text.isEmpty, !text.contains("/") else { return .incomplete("a subtype without slashes") }
        guard unsafe handler.open != nil else { return .incomplete("open") }
        guard unsafe handler.close != nil else { return .incomplete("close") }
        if unsafe handler.read == nil && handler.write == nil && handler.flush == nil {
            return unsafe handler.handle_cmd == nil ? .incomplete("read and write, or handle_cmd") : nil
        }
        if unsafe handler.read == nil { return .incomplete("read") }
        return unsafe handler.write == nil ? .incomplete("write") : nil
    }
}

/// What of the process's memory may be read and executed, as /proc/self/maps says.
struct MemoryMap {
    private struct Area {
        var start: UInt
        var end: UInt
        var isReadable: Bool
        var isExecutable: Bool
    }

    private static let path = "/proc/self/maps"
    private static let byteLimit = 1 << 24
    private var areas: [Area] = []

    static func current() -> MemoryMap {
        MemoryMap((try? SystemFiles.read(path, limit: byteLimit)) ?? [])
    }

    /// Lines of "START-END PERMISSIONS ...", hexadecimal.
    init(_ lines: [UInt8]) {
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            guard fields.count >= 2, fields[1].count >= 3 else { continue }
            let bounds = fields[0].split(separator: UInt8(ascii: "-"))
            guard bounds.count == 2, let start = UInt(String(decoding: bounds[0], as: UTF8.self), radix: 16),
                let end = UInt(String(decoding: bounds[1], as: UTF8.self), radix: 16)
            else { continue }
            let permissions = Array(fields[1])
            areas.append(
                Area(
                    start: start, end: end, isReadable: permissions[0] == UInt8(ascii: "r"),
                    isExecutable: permissions[2] == UInt8(ascii: "x")))
        }
    }

    func isExecutable(_ address: UInt) -> Bool {
        areas.contains { $0.start <= address && address < $0.end && $0.isExecutable }
    }

    func isReadable(_ address: UInt, byteCount: Int) -> Bool { readableByteCount(from: address) >= byteCount }

    /// Bytes from `address` on that may be read without a gap.
    func readableByteCount(from address: UInt) -> Int {
        var end = address
        // Areas are in ascending order.
        for area in areas where area.start <= end && end < area.end {
            guard area.isReadable else { break }
            end = area.end
        }
        return Int(clamping: end - address)
    }
}
