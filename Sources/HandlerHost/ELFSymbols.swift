// SPDX-License-Identifier: Apache-2.0

/// What the dynamic symbol table of a shared object says, read from the bytes of the file before anything of it is
/// loaded: dlopen(3) would name only the first missing symbol, and constructors would have run by then.
///
/// ELF-64, System V gABI chapters 4 and 5. Every offset and count in the file is checked against its length.
struct ELFSymbols: Sendable, Equatable {
    struct Export: Sendable, Equatable {
        var name: String
        /// st_size: the byte count of an object, 0 where the linker gave none.
        var byteCount: UInt64
        /// STT_OBJECT, as opposed to a function.
        var isObject: Bool
    }

    /// Undefined symbols that must be resolved when the object is loaded.
    var imports: [String] = []
    var exports: [Export] = []
    /// DT_NEEDED: the libraries that the object asks for.
    var neededLibraries: [String] = []

    /// Why a file is not a shared object for this machine; `description` completes "FILE ...".
    enum Malformation: Error, Equatable, CustomStringConvertible {
        case notELF
        case truncated(String)
        case otherByteOrderOrWidth
        case otherMachine(UInt16)
        case notSharedObject
        case noDynamicSymbols

        var description: String {
            switch self {
            case .notELF: "is not an ELF file"
            case .truncated(let part): "is truncated or damaged: its \(part) lies outside the file"
            case .otherByteOrderOrWidth: "is not a 64-bit little-endian object"
            case .otherMachine(let machine): "is built for another processor (ELF machine \(machine))"
            case .notSharedObject: "is an ELF file but not a shared object"
            case .noDynamicSymbols: "has no dynamic symbol table"
            }
        }
    }

    /// Symbols of the largest table that is read. The largest handler known, with a Swift runtime linked in, has
    /// some 60,000.
    private static let maximumSymbolCount: UInt64 = 1 << 20

    init(_ bytes: [UInt8]) throws(Malformation) {
        let image = try ELFImage(bytes)
        let table = try DynamicTable(image)
        for needed in table.neededNameOffsets {
            neededLibraries.append(try table.name(needed, in: image))
        }
        let count = try table.symbolCount(in: image)
        guard count <= Self.maximumSymbolCount else { throw .truncated("symbol table") }
        // Entry 0 is the reserved undefined symbol.
        for index in 1..<max(count, 1) {
            try add(table.symbol(index, in: image), table, image)
        }
    }

    private mutating func add(
        _ symbol: DynamicTable.Symbol, _ table: DynamicTable, _ image: ELFImage
    ) throws(Malformation) {
        guard symbol.isGlobal || symbol.isWeak else { return }
        if symbol.isDefined {
            let name = try table.name(symbol.nameOffset, in: image)
            exports.append(Export(name: name, byteCount: symbol.byteCount, isObject: symbol.isObject))
        } else if !symbol.isWeak {
            imports.append(try table.name(symbol.nameOffset, in: image))
        }
    }
}

/// The file's bytes, its loadable segments, and checked loads from both.
private struct ELFImage {
    /// One PT_LOAD: `fileByteCount` bytes from `fileOffset` stand at `address`.
    struct Segment {
        var address: UInt64
        var fileOffset: UInt64
        var fileByteCount: UInt64
    }

    let bytes: [UInt8]
    private(set) var segments: [Segment] = []
    /// File offset and byte count of PT_DYNAMIC.
    private(set) var dynamic: (offset: UInt64, byteCount: UInt64)?

    private static let headerByteCount = 64
    private static let programHeaderByteCount: UInt64 = 56
    private static let class64: UInt8 = 2
    private static let littleEndian: UInt8 = 1
    private static let sharedObject: UInt16 = 3
    private static let loadable: UInt32 = 1
    private static let dynamicSegment: UInt32 = 2
    #if arch(x86_64)
        private static let machine: UInt16 = 62
    #elseif arch(arm64)
        private static let machine: UInt16 = 183
    #endif

    init(_ bytes: [UInt8]) throws(ELFSymbols.Malformation) {
        self.bytes = bytes
        guard bytes.count >= 4, bytes[0] == 0x7F, bytes[1] == 0x45, bytes[2] == 0x4C, bytes[3] == 0x46 else {
            throw .notELF
        }
        guard bytes.count >= Self.headerByteCount else { throw .truncated("ELF header") }
        guard bytes[4] == Self.class64, bytes[5] == Self.littleEndian else { throw .otherByteOrderOrWidth }
        let fileType = try half(at: 16, "ELF header")
        guard fileType == Self.sharedObject else { throw .notSharedObject }
        let fileMachine = try half(at: 18, "ELF header")
        guard fileMachine == Self.machine else { throw .otherMachine(fileMachine) }
        try readProgramHeaders()
    }

    private mutating func readProgramHeaders() throws(ELFSymbols.Malformation) {
        let part = "program header table"
        let offset = try extended(at: 32, part)
        let entryByteCount = UInt64(try half(at: 54, part))
        let count = UInt64(try half(at: 56, part))
        guard count == 0 || entryByteCount >= Self.programHeaderByteCount else { throw .truncated(part) }
        for index in 0..<count {
            let (at, overflow) = offset.addingReportingOverflow(index * entryByteCount)
            guard !overflow, at <= UInt64(Int64.max) else { throw .truncated(part) }
            let kind = try word(at: at, part)
            let fileOffset = try extended(at: at + 8, part)
            let fileByteCount = try extended(at: at + 32, part)
            guard kind == Self.loadable || kind == Self.dynamicSegment else { continue }
            let (end, endOverflow) = fileOffset.addingReportingOverflow(fileByteCount)
            guard !endOverflow, end <= UInt64(bytes.count) else { throw .truncated("segment \(index)") }
            if kind == Self.loadable {
                let address = try extended(at: at + 16, part)
                segments.append(
                    Segment(address: address, fileOffset: fileOffset, fileByteCount: fileByteCount))
            } else {
                dynamic = (fileOffset, fileByteCount)
            }
        }
    }

    /// Where the byte that is loaded at `address` stands in the file, and how many bytes follow in its segment.
    func fileOffset(
        ofAddress address: UInt64, _ part: String
    ) throws(ELFSymbols.Malformation) -> (offset: UInt64, available: UInt64) {
        for segment in segments where address >= segment.address {
            let distance = address - segment.address
            if distance < segment.fileByteCount {
                return (segment.fileOffset + distance, segment.fileByteCount - distance)
            }
        }
        throw .truncated(part)
    }

    func half(at offset: UInt64, _ part: String) throws(ELFSymbols.Malformation) -> UInt16 {
        UInt16(truncatingIfNeeded: try load(2, at: offset, part))
    }

    func word(at offset: UInt64, _ part: String) throws(ELFSymbols.Malformation) -> UInt32 {
        UInt32(truncatingIfNeeded: try load(4, at: offset, part))
    }

    func extended(at offset: UInt64, _ part: String) throws(ELFSymbols.Malformation) -> UInt64 {
        try load(8, at: offset, part)
    }

    /// `byteCount` bytes at `offset`, little-endian.
    private func load(
        _ byteCount: Int, at offset: UInt64, _ part: String
    ) throws(ELFSymbols.Malformation) -> UInt64 {
        guard offset <= UInt64(bytes.count), UInt64(bytes.count) - offset >= UInt64(byteCount) else {
            throw .truncated(part)
        }
        var value: UInt64 = 0
        for index in (0..<byteCount).reversed() { value = value << 8 | UInt64(bytes[Int(offset) + index]) }
        return value
    }
}

/// The entries of PT_DYNAMIC that lead to the symbols.
private struct DynamicTable {
    struct Symbol {
        var nameOffset: UInt64
        var information: UInt8
        var sectionIndex: UInt16
        var byteCount: UInt64

        var isGlobal: Bool { information >> 4 == 1 }
        var isWeak: Bool { information >> 4 == 2 }
        var isObject: Bool { information & 0x0F == 1 }
        var isDefined: Bool { sectionIndex != 0 }
    }

    private enum Tag {
        static let null: UInt64 = 0
        static let needed: UInt64 = 1
        static let hash: UInt64 = 4
        static let stringTable: UInt64 = 5
        static let symbolTable: UInt64 = 6
        static let stringTableByteCount: UInt64 = 10
        static let gnuHash: UInt64 = 0x6FFF_FEF5
    }

    private static let symbolByteCount: UInt64 = 24
    private static let longestName = 4096
    private static let symbols = "symbol table"
    private static let strings = "string table"
    private static let hashes = "symbol hash table"

    private(set) var neededNameOffsets: [UInt64] = []
    private var stringOffset: UInt64 = 0
    private var stringByteCount: UInt64 = 0
    private var symbolOffset: UInt64 = 0
    private var symbolBytesAvailable: UInt64 = 0
    private var hashAddress: UInt64?
    private var gnuHashAddress: UInt64?

    init(_ image: ELFImage) throws(ELFSymbols.Malformation) {
        guard let dynamic = image.dynamic else { throw .noDynamicSymbols }
        var stringAddress: UInt64?
        var symbolAddress: UInt64?
        var at = dynamic.offset
        let end = dynamic.offset + dynamic.byteCount
        while at + 16 <= end {
            let tag = try image.extended(at: at, "dynamic section")
            let value = try image.extended(at: at + 8, "dynamic section")
            at += 16
            switch tag {
            case Tag.null: at = end
            case Tag.needed: neededNameOffsets.append(value)
            case Tag.hash: hashAddress = value
            case Tag.gnuHash: gnuHashAddress = value
            case Tag.stringTable: stringAddress = value
            case Tag.symbolTable: symbolAddress = value
            case Tag.stringTableByteCount: stringByteCount = value
            default: break
            }
        }
        guard let stringAddress, let symbolAddress else { throw .noDynamicSymbols }
        let strings = try image.fileOffset(ofAddress: stringAddress, Self.strings)
        guard stringByteCount <= strings.available else { throw .truncated(Self.strings) }
        stringOffset = strings.offset
        (symbolOffset, symbolBytesAvailable) = try image.fileOffset(ofAddress: symbolAddress, Self.symbols)
    }

    /// The table's length stands only in its hash table: in DT_HASH as nchain, in DT_GNU_HASH as the end of the
    /// last chain.
    func symbolCount(in image: ELFImage) throws(ELFSymbols.Malformation) -> UInt64 {
        let count: UInt64
        if let hashAddress {
            let hash = try image.fileOffset(ofAddress: hashAddress, Self.hashes)
            count = UInt64(try image.word(at: hash.offset + 4, Self.hashes))
        } else if let gnuHashAddress {
            count = try countFromGNUHash(at: gnuHashAddress, in: image)
        } else {
            throw .noDynamicSymbols
        }
        guard count <= symbolBytesAvailable / Self.symbolByteCount else { throw .truncated(Self.symbols) }
        return count
    }

    private func countFromGNUHash(
        at address: UInt64, in image: ELFImage
    ) throws(ELFSymbols.Malformation) -> UInt64 {
        let hash = try image.fileOffset(ofAddress: address, Self.hashes)
        let bucketCount = UInt64(try image.word(at: hash.offset, Self.hashes))
        let firstHashed = UInt64(try image.word(at: hash.offset + 4, Self.hashes))
        let bloomWordCount = UInt64(try image.word(at: hash.offset + 8, Self.hashes))
        let buckets = hash.offset + 16 + bloomWordCount * 8
        let chains = buckets + bucketCount * 4
        var last: UInt64 = 0
        for index in 0..<bucketCount {
            last = max(last, UInt64(try image.word(at: buckets + index * 4, Self.hashes)))
        }
        guard last >= firstHashed, last != 0 else { return firstHashed }
        // A chain ends with the entry whose lowest bit is set.
        while try image.word(at: chains + (last - firstHashed) * 4, Self.hashes) & 1 == 0 { last += 1 }
        return last + 1
    }

    func symbol(_ index: UInt64, in image: ELFImage) throws(ELFSymbols.Malformation) -> Symbol {
        let at = symbolOffset + index * Self.symbolByteCount
        let first = try image.extended(at: at, Self.symbols)
        return Symbol(
            nameOffset: first & 0xFFFF_FFFF,
            information: UInt8(truncatingIfNeeded: first >> 32),
            sectionIndex: UInt16(truncatingIfNeeded: first >> 48),
            byteCount: try image.extended(at: at + 16, Self.symbols))
    }

    func name(_ nameOffset: UInt64, in image: ELFImage) throws(ELFSymbols.Malformation) -> String {
        guard nameOffset < stringByteCount else { throw .truncated(Self.strings) }
        let start = Int(stringOffset + nameOffset)
        let end = min(Int(stringOffset + stringByteCount), start + Self.longestName)
        guard let terminator = image.bytes[start..<end].firstIndex(of: 0) else { throw .truncated(Self.strings) }
        return String(decoding: image.bytes[start..<terminator], as: UTF8.self)
    }
}
